"""UnitOfWork: one transaction, with every repository and the outbox by name. The only place that commits.

A unit that reads runs on an autocommit connection: at READ COMMITTED a transaction would see the same and cost two more
round trips. A unit that writes is one transaction (`BEGIN IMMEDIATE` on SQLite). `run` may run the work again when the
database asks for it, so the work must have no effect outside the unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar

from clinic_service import deadline
from clinic_service.db.dialects import is_read_only, is_retryable, is_unavailable
from clinic_service.db.engine import Database
from clinic_service.db.repository import Unit
from clinic_service.errors import Unavailable
from clinic_service.outbox.limits import MailLimits
from clinic_service.outbox.outbox import Outbox
from clinic_service.resources.access.repository import GrantRepository
from clinic_service.resources.clinicians.repository import ClinicianRepository
from clinic_service.resources.clinics.repository import ClinicRepository
from clinic_service.resources.invites.repository import InviteRepository
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


class UnitOfWork(Unit):
    """One transaction, or a unit that reads, with every repository and the outbox by name."""

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self)

    @cached_property
    def mail_limits(self) -> MailLimits:
        return MailLimits(self)

    @cached_property
    def clinics(self) -> ClinicRepository:
        return ClinicRepository(self)

    @cached_property
    def clinicians(self) -> ClinicianRepository:
        return ClinicianRepository(self)

    @cached_property
    def patients(self) -> PatientRepository:
        return PatientRepository(self)

    @cached_property
    def grants(self) -> GrantRepository:
        return GrantRepository(self)

    @cached_property
    def invites(self) -> InviteRepository:
        return InviteRepository(self)

    @cached_property
    def migrations(self) -> MigrationRepository:
        return MigrationRepository(self)

    @cached_property
    def tags(self) -> TagRepository:
        return TagRepository(self)

    @cached_property
    def sites(self) -> SiteRepository:
        return SiteRepository(self)

    @cached_property
    def summaries(self) -> SummaryRepository:
        return SummaryRepository(self)

    @cached_property
    def settings(self) -> SettingsRepository:
        return SettingsRepository(self)

    @cached_property
    def users(self) -> UserRepository:
        return UserRepository(self)


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
    """Do `work` in a unit, again when the database gave the transaction up in favour of another.

    A reading unit is also done again when its connection turns out to be gone, as after a restart of the database; of a
    writing one nobody can know how far it came. Nothing is done again once `_TRY_AGAIN_SECONDS` have passed: whoever
    waited that long for a lock or a dead connection has waited enough. Raises Unavailable when the database cannot be
    reached or used, and DeadlineExceeded instead of beginning when the time for the request is over.
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
