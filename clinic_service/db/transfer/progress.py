"""Reports the progress of work on many rows or pages."""

from __future__ import annotations

from collections.abc import Callable

# Called with the name of the phase, the amount that is done, and the whole amount.
Progress = Callable[[str, int, int], object]


def counted(progress: Progress, phase: str, total: int) -> Callable[[int], None]:
    """A function that is called with how much was done since the last call."""
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        progress(phase, done, total)

    return add
