"""A process that ends in the middle of a request, at a step that a test chooses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import event

from clinic_service.db.engine import Database
from clinic_service.gateways import http


class Killed(BaseException):
    """The end of the process: nothing in it catches this, and the database rolls back what was not committed."""


class Steps:
    """Counts the steps of a request, and ends it at one of them."""

    def __init__(self, last: int) -> None:
        self._left = last
        self.reached = False

    def step(self, *_: Any) -> None:
        self._left -= 1
        if self._left == 0:
            self.reached = True
            raise Killed


@contextmanager
def killed_at(database: Database, last: int) -> Iterator[Steps]:
    """Ends the block at its step number `last`, if it has so many.

    The steps are: before each statement of a transaction, after each commit, before and after each call of another system.
    """
    steps = Steps(last)
    dialect = database.write_engine.dialect
    commit: Any = dialect.do_commit
    exchange = http.exchange

    def commit_and_step(connection: Any) -> None:
        commit(connection)
        steps.step()

    def step_and_exchange(*arguments: Any, **options: Any) -> http.Reply:
        steps.step()
        reply = exchange(*arguments, **options)
        steps.step()
        return reply

    event.listen(database.write_engine, "before_cursor_execute", steps.step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialect, "do_commit", commit_and_step)
        patch.setattr(http, "exchange", step_and_exchange)
        try:
            with suppress(Killed):
                yield steps
        finally:
            event.remove(database.write_engine, "before_cursor_execute", steps.step)
