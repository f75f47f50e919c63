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

from sqlalchemy.exc import DBAPIError

from clinic_service import deadline
from clinic_service.audit.repository import AuditRepository
from clinic_service.db.dialects import is_read_only, is_retryable, is_unavailable
from clinic_service.db.engine import Database
from clinic_service.db.repository import Unit
from clinic_service.errors import Unavailable
from clinic_service.outbox.mail_limits import MailLimits
from clinic_service.outbox.outbox import Outbox
from clinic_service.resources.access.repository import GrantRepository
from clinic_service.resources.clinicians.repository import ClinicianRepository
from clinic_service.resources.clinics.repository import ClinicRepository
from clinic_service.resources.ehr.repository import EhrRepository
from clinic_service.resources.ehr.xealth.repository import XealthRepository
from clinic_service.resources.invites.repository import InviteRepository
from clinic_service.resources.merges.repository import MergeRepository
from clinic_service.resources.migrations.repository import MigrationRepository
from clinic_service.resources.patients.repository import PatientRepository
from clinic_service.resources.settings.repository import SettingsRepository
from clinic_service.resources.sites.repository import SiteRepository
from clinic_service.resources.summaries.repository import SummaryRepository
from clinic_service.resources.tags.repository import TagRepository
from clinic_service.resources.users.repository import UserRepository
from clinic_service.stored_answers import StoredAnswers

T = TypeVar("T")

_TRIES = 5
_TRY_AGAIN_SECONDS = 3.0


class UnitOfWork(Unit):
    """One transaction, or a unit that reads, with every repository and the outbox by name."""

    @cached_property
    def outbox(self) -> Outbox:
        """The events of this unit, delivered after its commit."""
        return Outbox(self)

    @cached_property
    def audit(self) -> AuditRepository:
        """The rows of the audit trail."""
        return AuditRepository(self)

    @cached_property
    def mail_limits(self) -> MailLimits:
        """The limits on mails that clinics and persons ask for."""
        return MailLimits(self)

    @cached_property
    def stored_answers(self) -> StoredAnswers:
        """The answers to requests with an Idempotency-Key."""
        return StoredAnswers(self)

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
        """Direct grants, and who may see whose data (`effective`)."""
        return GrantRepository(self)

    @cached_property
    def invites(self) -> InviteRepository:
        """Invitations of clinicians, and offers of patients."""
        return InviteRepository(self)

    @cached_property
    def merges(self) -> MergeRepository:
        """The facts of two clinics that are to be merged."""
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
        """Summaries of patients' data, and their projections for lists."""
        return SummaryRepository(self)

    @cached_property
    def settings(self) -> SettingsRepository:
        """The settings of clinics."""
        return SettingsRepository(self)

    @cached_property
    def ehr(self) -> EhrRepository:
        """Messages of health record systems, and subscriptions to reports."""
        return EhrRepository(self)

    @cached_property
    def users(self) -> UserRepository:
        """The rows about a user in all clinics, and the user's roles."""
        return UserRepository(self)

    @cached_property
    def xealth_orders(self) -> XealthRepository:
        """Preorders and orders of Xealth, and their reports."""
        return XealthRepository(self)


@contextmanager
def reading(database: Database) -> Iterator[UnitOfWork]:
    """A unit that only reads. Raises Unavailable when there is no connection."""
    try:
        connection = database.readers.take()
    except DBAPIError as error:
        raise Unavailable from error
    try:
        yield UnitOfWork(connection)
    finally:
        # To the database there is no transaction, but the library begins one of its own with the first statement.
        connection.rollback()
        database.readers.give_back(connection)


@contextmanager
def writing(database: Database) -> Iterator[UnitOfWork]:
    """A unit that is committed when the block ends, and rolled back when it raises."""
    connection = database.writers.take()
    try:
        with connection.begin():
            unit = UnitOfWork(connection)
            yield unit
            unit.flush()
    except BaseException:
        # The pool ends a transaction whose COMMIT has failed, which the library takes for ended.
        connection.close()
        raise
    database.writers.give_back(connection)


def run(database: Database, work: Callable[[UnitOfWork], T], *, writes: bool) -> T:
    """Do `work` in a unit, and do it again when the database ended the transaction because of a concurrent one.

    A reading unit is also done again when its connection is lost, for example after a restart of the database. A writing
    unit is not, because it may have been committed. Nothing is done again after `_TRY_AGAIN_SECONDS`, so that no request
    waits for several timeouts of a lock or of a dead connection. Raises Unavailable (503) when the database cannot be
    reached or used, and DeadlineExceeded (503) when the time for the request is over before the unit begins.
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
                _count_retry()
                continue
            if may_succeed or _is_unavailable(error, writes):
                raise Unavailable from error
            raise
    raise AssertionError("unreachable")


def run_in_batches(database: Database, work: Callable[[UnitOfWork], int]) -> int:
    """Do `work` in one writing unit after another until there is nothing left to do, so that no unit lasts long.

    `work` returns how many rows it has changed. Returns their sum. Raises what `run` raises.
    """
    total = 0
    while number := run(database, work, writes=True):
        total += number
    return total


def _count_retry() -> None:
    # Imported here, because most commands do not need the library of the metrics.
    from clinic_service.metrics.counters import count_retry

    count_retry()


def _is_unavailable(error: Exception, writes: bool) -> bool:
    # In a unit that only reads, an attempt to write is a defect of the code: the database is available.
    return is_unavailable(error) and (writes or not is_read_only(error))
