"""Runs work in a child process, in parallel with this process and without using its memory."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import click

T = TypeVar("T")


def in_child(work: Callable[[], T]) -> Callable[[], T]:
    """Start `work` in a child process. The function that is returned waits for its result.

    That function raises what `work` raised, and click.ClickException when the child was killed. The child ends by itself,
    even when this process ends first.
    """
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(work, its), daemon=True)
    child.start()
    its.close()

    def result() -> T:
        try:
            succeeded, value = mine.recv()
        except EOFError:
            raise click.ClickException(
                "A helper process was killed, perhaps because memory ran out. Run the command again."
            ) from None
        child.join()
        if not succeeded:
            raise value
        made: T = value
        return made

    return result


def _work(work: Callable[[], Any], to: Connection) -> None:
    # Ctrl-C in a terminal also reaches this process. Only the parent may report it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        message = (True, work())
    except Exception as error:
        message = (False, error)
    try:
        to.send(message)
    except OSError:
        # The parent has ended.
        return
