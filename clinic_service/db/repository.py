"""The base of repositories: each is a set of queries, sent inside one unit of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import CursorResult, Delete, Executable, Insert, Update
from sqlalchemy.orm import Session

from clinic_service.db.prepared import Query

T = TypeVar("T")


def until_unchanged(lock: Callable[[], Sequence[T]]) -> Sequence[T]:
    """What `lock` finds, once it finds the same twice.

    A statement that waits for a lock does not see rows that were made meanwhile. So a row that was moved to another clinic,
    which is a new row there, is found by the next one only.
    """
    before = lock()
    while (found := lock()) != before:
        before = found
    return found


class Unit(Protocol):
    """What a repository needs of the unit of work it belongs to."""

    @property
    def session(self) -> Session: ...
    @property
    def now(self) -> datetime: ...
    @property
    def creation_time(self) -> datetime: ...
    def new_id(self) -> str: ...
    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[Any]: ...
    def rows(self, statement: Query, parameters: Mapping[str, Any]) -> list[Any]: ...
    def first(self, statement: Query, parameters: Mapping[str, Any]) -> Any | None: ...
    def insert(self, statement: Insert, *rows: Mapping[str, Any]) -> None: ...
    def change(self, statement: Update | Delete, *rows: Mapping[str, Any]) -> None: ...
    def flush(self) -> None: ...


class Repository:
    """Statements are module constants with bind parameters: building one costs more than running it."""

    def __init__(self, uow: Unit) -> None:
        self._uow = uow
