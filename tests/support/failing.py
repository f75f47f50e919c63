"""Transactions that fail where a test wants them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from clinic_service.db.engine import Database


class Defect(RuntimeError):
    """Nothing that the program expects."""


class _Conflict(Exception):
    """What a driver raises when a transaction is given up in favour of another."""

    sqlstate = "40001"


def given_up() -> DBAPIError:
    """The failure of a transaction that may be run again."""
    return DBAPIError("a statement", None, _Conflict())


@contextmanager
def interfering(database: Database, statement: str, act: Callable[[], object], *, after: str = "") -> Iterator[None]:
    """Calls `act` once, before the first statement of a writing unit that begins with the words `statement`.

    Those before the first one that begins with the words `after` do not count.
    """
    pending: list[tuple[str, Callable[[], object]]] = [(statement, act), (after, lambda: None)]

    def note(_connection: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        if pending and sql.startswith(pending[-1][0]):
            pending.pop()[1]()

    event.listen(database.write_engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(database.write_engine, "before_cursor_execute", note)
    assert not pending, "the statement was not sent"


@contextmanager
def failing(database: Database, statement: str, error: Exception | None = None, *, after: str = "") -> Iterator[None]:
    """The first such statement is not sent, and raises `error` instead."""

    def fail() -> None:
        raise error or Defect

    with interfering(database, statement, fail, after=after):
        yield


@contextmanager
def losing_the_confirmation(database: Database, statement: str) -> Iterator[None]:
    """The first transaction with such a statement is committed, and seems to fail all the same."""
    dialect = database.write_engine.dialect
    commit: Any = dialect.do_commit
    armed: list[bool] = []

    def do_commit(connection: Any) -> None:
        commit(connection)
        if armed:
            armed.pop()
            raise Defect

    dialect.do_commit = do_commit  # type: ignore[method-assign, assignment]
    try:
        with interfering(database, statement, lambda: armed.append(True)):
            yield
    finally:
        dialect.do_commit = commit  # type: ignore[method-assign]
