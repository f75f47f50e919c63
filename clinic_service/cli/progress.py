"""Shows on standard error how far a long command is: bars on a terminal, else a line for each tenth."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import click

from clinic_service.db.transfer.progress import Progress


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A function that shows the progress of the block. SIGTERM ends the block as Ctrl-C does, so that it can clean up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as open_bar:
            yield _Bars(open_bar) if sys.stderr.isatty() else _Lines()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Bars:
    def __init__(self, open_bar: ExitStack) -> None:
        self._open_bar = open_bar
        self._phase: str | None = None
        self._done = 0
        self._bar: Any = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase != self._phase:
            self._open_bar.close()
            self._bar = self._open_bar.enter_context(click.progressbar(length=total, label=phase, file=sys.stderr))
            self._phase, self._done = phase, 0
        self._bar.update(done - self._done)
        self._done = done


class _Lines:
    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        tenths = 10 * done // max(total, 1)
        if self._last != (phase, tenths):
            self._last = phase, tenths
            click.echo(f"{phase}: {10 * tenths} %", err=True)
