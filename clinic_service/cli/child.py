"""Work that a child process does while this one does something else."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")


def in_child(work: Callable[[], T]) -> Callable[[], T]:
    """Begin `work` in a child process; the result waits for it, and raises what `work` raised.

    The child ends by itself, also when this process does not live to hear from it.
    """
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(work, its), daemon=True)
    child.start()
    its.close()

    def result() -> T:
        succeeded, value = mine.recv()
        child.join()
        if not succeeded:
            raise value
        made: T = value
        return made

    return result


def _work(work: Callable[[], Any], to: Connection) -> None:
    # Ctrl-C in a terminal reaches this process as well; only the one that was started is to say something.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        message = (True, work())
    except Exception as error:
        message = (False, error)
    try:
        to.send(message)
    except OSError:
        # Nobody is waiting any more.
        return
