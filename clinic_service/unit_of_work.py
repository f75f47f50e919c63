"""UnitOfWork: one transaction, with every repository and the outbox by name. The only place that commits.

A unit that reads runs on an autocommit connection: at READ COMMITTED a transaction would see the same and cost two more
round trips. A unit that writes is one transaction (`BEGIN IMMEDIATE` on SQLite). `run` may run the work again when the
database asks for it, so the work must have no effect outside the unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Delete, Engine, Executable, Insert, PoolProxiedConnection, Update
from sqlalchemy.orm import Session

from clinic_service import clock, deadline
from clinic_service.db.dialects import is_read_only, is_retryable, is_unavailable, snapshot
from clinic_service.db.engine import Database
from clinic_service.db.ids import IdRange, new_id, new_ids
from clinic_service.db.prepared import Query, prepared
from clinic_service.errors import Unavailable
from clinic_service.outbox.limits import MailLimits
from clinic_service.outbox.outbox import Outbox
from clinic_service.resources.access.repository import GrantRepository
from clinic_service.resources.clinicians.repository import ClinicianRepository
from clinic_service.resources.clinics.repository import ClinicRepository
from clinic_service.resources.ehr.repository import EhrRepository
from clinic_service.resources.ehr.xealth_repository import XealthRepository
from clinic_service.resources.invites.repository import InviteRepository
from clinic_service.resources.merges.repository import MergeRepository
from clinic_service.resources.migrations.repository import MigrationRepository
from clinic_service.resources.patients.repository import PatientRepository
from clinic_service.resources.settings.repository import SettingsRepository
from clinic_service.resources.sites.repository import SiteRepository
from clinic_service.resources.summaries.repository import SummaryRepository
from clinic_service.resources.tags.repository import TagRepository
from clinic_service.resources.users.repository import UserRepository

T = TypeVar("T")

_TRIES = 5
_TRY_AGAIN_SECONDS = 3.0


class UnitOfWork:
    """One transaction's connection, session, time and repositories."""

    def __init__(self, engine: Engine, raw: PoolProxiedConnection) -> None:
        self._engine, self._raw = engine, raw

    @cached_property
    def connection(self) -> Connection:
        """The unit's connection, for what is not a constant statement."""
        return Connection(self._engine, connection=self._raw)

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a Core statement in this unit, after what the session has not written yet has been written."""
        self.flush()
        result: CursorResult[Any] = self.connection.execute(statement, parameters)
        return result

    def rows(self, statement: Query, parameters: Mapping[str, Any]) -> list[Any]:
        """The rows of `statement`, which must be a module constant: it is compiled once (see `db/prepared.py`)."""
        self.flush()
        return prepared(statement, self._engine.dialect).rows(self._engine, self._raw, parameters)

    def first(self, statement: Query, parameters: Mapping[str, Any]) -> Any | None:
        """The first row of `statement`, a module constant; None when there is none."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    def insert(self, statement: Insert, *rows: Mapping[str, Any]) -> None:
        """Store `rows` by `statement`, a module constant that names its columns."""
        self._write(statement, rows)

    def change(self, statement: Update | Delete, *rows: Mapping[str, Any]) -> None:
        """Update or delete by `statement`, a module constant, with the parameters of each of `rows`."""
        self._write(statement, rows)

    def _write(self, statement: Insert | Update | Delete, rows: Sequence[Mapping[str, Any]]) -> None:
        self.flush()
        if rows:
            prepared(statement, self._engine.dialect).write(self._engine, self._raw, rows)

    def snapshot(self) -> AbstractContextManager[None]:
        """What is asked in the block is answered as of one moment; for units that read."""
        return snapshot(self.connection)

    @cached_property
    def session(self) -> Session:
        """The ORM session, for units that write."""
        return Session(self.connection, autoflush=True, expire_on_commit=False, join_transaction_mode="control_fully")

    @cached_property
    def creation_time(self) -> datetime:
        """The one time of this unit, UTC, to the microsecond: the creation time of every row that it makes."""
        return clock.precise_now()

    @cached_property
    def now(self) -> datetime:
        """The time of this unit as it is shown: cut to milliseconds."""
        return clock.truncate(self.creation_time)

    def new_id(self) -> str:
        """The id of a new row: ids are ordered by the times of their units, then as they were made."""
        return new_id(self.creation_time)

    def new_ids(self, count: int) -> IdRange:
        """The ids of so many new rows, for a statement that makes the rows in the database."""
        return new_ids(count, self.creation_time)

    @cached_property
    def outbox(self) -> Outbox:
        """The events of this unit, delivered after its commit."""
        return Outbox(self)

    @cached_property
    def mail_limits(self) -> MailLimits:
        """How many mails clinics and persons may still ask for."""
        return MailLimits(self)

    @cached_property
    def clinics(self) -> ClinicRepository:
        """Clinics."""
        return ClinicRepository(self)

    @cached_property
    def clinicians(self) -> ClinicianRepository:
        """Members of clinics, service accounts and pending clinicians."""
        return ClinicianRepository(self)

    @cached_property
    def patients(self) -> PatientRepository:
        """The records that clinics keep of patients."""
        return PatientRepository(self)

    @cached_property
    def grants(self) -> GrantRepository:
        """Who may see whose data without a clinic."""
        return GrantRepository(self)

    @cached_property
    def invites(self) -> InviteRepository:
        """Invitations of clinicians, and offers of patients."""
        return InviteRepository(self)

    @cached_property
    def merges(self) -> MergeRepository:
        return MergeRepository(self)

    @cached_property
    def migrations(self) -> MigrationRepository:
        """Moves of legacy patients into clinics."""
        return MigrationRepository(self)

    @cached_property
    def tags(self) -> TagRepository:
        """The tags of clinics."""
        return TagRepository(self)

    @cached_property
    def sites(self) -> SiteRepository:
        """The sites of clinics."""
        return SiteRepository(self)

    @cached_property
    def summaries(self) -> SummaryRepository:
        """Summaries of patients' data, and what lists read of them."""
        return SummaryRepository(self)

    @cached_property
    def settings(self) -> SettingsRepository:
        """The settings of clinics."""
        return SettingsRepository(self)

    @cached_property
    def ehr(self) -> EhrRepository:
        return EhrRepository(self)

    @cached_property
    def users(self) -> UserRepository:
        """What is asked about a user in all clinics."""
        return UserRepository(self)

    @cached_property
    def xealth_orders(self) -> XealthRepository:
        return XealthRepository(self)

    def flush(self) -> None:
        """Send what the session has not written yet to the database, so that a violated constraint raises now."""
        if "session" in self.__dict__:
            self.session.flush()
            # A savepoint of the session guards only what is sent through the session, or through its connection.
            self.session.connection()


@contextmanager
def reading(database: Database) -> Iterator[UnitOfWork]:
    """A unit that only reads."""
    try:
        raw = database.read_engine.raw_connection()
    except database.read_engine.dialect.loaded_dbapi.Error as error:
        raise Unavailable from error
    try:
        yield UnitOfWork(database.read_engine, raw)
    finally:
        raw.close()


@contextmanager
def writing(database: Database) -> Iterator[UnitOfWork]:
    """A unit that is committed when the block ends, and rolled back when it raises."""
    with database.write_engine.connect() as connection, connection.begin():
        unit = UnitOfWork(database.write_engine, connection.connection)
        unit.connection = connection
        yield unit
        unit.flush()


def run(database: Database, work: Callable[[UnitOfWork], T], *, writes: bool) -> T:
    """Do `work` in a unit, and do it again when the database ended the transaction because of another one.

    A reading unit is also done again when its connection turns out to be gone, as after a restart of the database. A
    writing one is not, because it may have been committed. Nothing is done again once `_TRY_AGAIN_SECONDS` have passed,
    so that no request waits for several time-outs of a lock or of a dead connection. Raises Unavailable when the database
    cannot be reached or used, and DeadlineExceeded instead of beginning when the time for the request is over.
    """
    started = time.monotonic()
    for tries_left in reversed(range(_TRIES)):
        deadline.remaining()
        try:
            with (writing if writes else reading)(database) as unit:
                return work(unit)
        except Exception as error:
            may_succeed = is_retryable(error) or (not writes and getattr(error, "connection_invalidated", False))
            if may_succeed and tries_left and time.monotonic() - started < _TRY_AGAIN_SECONDS:
                continue
            if may_succeed or _is_unavailable(error, writes):
                raise Unavailable from error
            raise
    raise AssertionError("unreachable")


def _is_unavailable(error: Exception, writes: bool) -> bool:
    # A reading unit refuses to write by itself: whoever tries is at fault, and not the database.
    return is_unavailable(error) and (writes or not is_read_only(error))
