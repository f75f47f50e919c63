"""A small application whose operations do what a test says, and what they store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from sqlalchemy import event, func, insert, select

from clinic_service.api.log import RequestLog
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.models import Clinic, OutboxEntry
from clinic_service.preparation import with_preparation
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.rows import make_clinic
from tests.support.small import EMPTY_ANSWER, json_body, operation, small_app

CANARY = "canary-4711"
NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 20}}}
ID = {"name": "clinicId", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-f0-9]{24}$"}}
PATHS = {
    "/write": {
        "post": operation(
            "Write",
            responses={"200": {"description": "Done.", "content": {"application/json": {"schema": NAMED}}}},
        )
    },
    "/write-silently": {"post": operation("WriteSilently", responses=EMPTY_ANSWER)},
    "/clinics/{clinicId}": {
        "get": operation("Look", parameters=[ID], **{"x-access": ["member"]}),
        "put": operation("Change", parameters=[ID], requestBody=json_body(NAMED), **{"x-access": ["admin"]}),
    },
}


class Happened:
    """An event of these tests."""

    kind: ClassVar[str] = "happened"
    is_notice = True
    clinic_id = None

    def to_payload(self) -> dict[str, Any]:
        return {}


Work = Callable[..., Any]


class Small:
    """The small application, whose operations do what a test says."""

    def __init__(self, database: Database, config: Config) -> None:
        self.database, self.config = database, config

    def client(
        self,
        work: Work,
        prepare: Work | None = None,
        compensate: Work | None = None,
        log: RequestLog | None = None,
        **settings: Any,
    ) -> Client:
        def write(ctx: Context) -> Any:
            return work(ctx)

        def write_silently(ctx: Context) -> Any:
            return work(ctx)

        def look(ctx: Context, clinic_id: str) -> Any:  # noqa: ARG001
            return work(ctx)

        def change(ctx: Context, clinic_id: str, body: Any) -> Any:  # noqa: ARG001
            return work(ctx)

        def change_prepared(ctx: Context, result: Any, clinic_id: str, body: Any) -> Any:  # noqa: ARG001
            return work(ctx, result)

        change_prepared.__name__ = "change"
        changes = with_preparation(prepare, compensation=compensate)(change_prepared) if prepare else change
        config = replace(self.config, **settings)
        return Client(small_app(self.database, config, PATHS, write, write_silently, look, changes, log=log), SECRET)


def store(uow: UnitOfWork) -> None:
    """A row by the session, a row by a statement, and an event."""
    make_clinic(uow, name=CANARY)
    now = uow.now
    values = {"id": new_id(), "name": CANARY, "preferred_bg_units": "mg/dL", "created_time": now, "updated_time": now}
    uow.execute(insert(Clinic), values)
    uow.outbox.add(Happened())


def stored(database: Database) -> tuple[int, int]:
    """How many of the rows and events are there."""
    clinics = select(func.count()).select_from(Clinic).where(Clinic.name == CANARY)
    entries = select(func.count()).select_from(OutboxEntry)
    with reading(database) as unit:
        return unit.execute(clinics).scalar_one(), unit.execute(entries).scalar_one()


@contextmanager
def transactions(database: Database) -> Iterator[list[str]]:
    """What happens to transactions of the writing engine while the block runs."""
    seen: list[str] = []
    listeners = {name: (lambda _connection, name=name: seen.append(name)) for name in ("begin", "commit", "rollback")}
    for name, listener in listeners.items():
        event.listen(database.write_engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            event.remove(database.write_engine, name, listener)
