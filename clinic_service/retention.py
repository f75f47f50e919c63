"""Retention: removes expired rows, while relays run. `CLINIC_KEEP_…` tells how long each kind is kept.

Each transaction removes a fixed number of rows, and finds them by an index. So its cost does not depend on the size of the
table, and requests wait only for a moment.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Delete, and_, bindparam, delete, exists, literal_column, not_, select, tuple_
from sqlalchemy.orm import aliased

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.db.ids import first_id
from clinic_service.db.placement import REFERENCE
from clinic_service.db.types import ObjectId
from clinic_service.models import (
    AccountDeletion,
    Clinic,
    ClinicDeletion,
    ClinicianDeletion,
    ClinicianRoleUpdate,
    Invite,
    InviteStatus,
    MergeElementType,
    MergePlanElement,
    OutboxEntry,
    PatientDeletion,
    XealthReportView,
)
from clinic_service.outbox.deliveries import MAILS
from clinic_service.resources.ehr import retention as partner_messages
from clinic_service.unit_of_work import run_in_batches

_log = logging.getLogger(__name__)

BATCH = 500


def _older(model: type[Base], time: Any, *conditions: ColumnElement[bool]) -> Delete:
    """The statement that deletes at most `batch` rows whose `time` is before the parameter `before`.

    `time` is a column of times, or one of ids, which contain times; then the parameter is `before_id`.
    """
    table = Base.metadata.tables[model.__tablename__]
    keys = list(table.primary_key)
    before = "before_id" if isinstance(time.type, ObjectId) else "before"
    found = select(*keys).where(time < bindparam(before, type_=time.type), *conditions).limit(bindparam("batch"))
    if model.placement is REFERENCE:
        # Each machine of a cluster chooses the rows by itself, and all must choose the same.
        found = found.order_by(time)
    key: Any = keys[0] if len(keys) == 1 else tuple_(*keys)
    return delete(table).where(key.in_(found))


class _Kind(NamedTuple):
    """A kind of rows, the setting with the days that it is kept, and the statement that removes a batch."""

    name: str
    setting: str
    removal: Delete


_DELIVERED = _Kind(
    "delivered events",
    "keep_delivered_events_days",
    _older(OutboxEntry, OutboxEntry.delivered_time, OutboxEntry.delivered_time.is_not(None)),
)
# Without a mail server, mail is never tried, so the time of its next attempt stays that of its creation. With one, the
# relay gives up mail that cannot be sent.
_UNSENT_MAIL = _Kind(
    "unsent mail",
    "keep_unsent_mail_days",
    _older(
        OutboxEntry,
        OutboxEntry.next_attempt_time,
        and_(OutboxEntry.delivered_time.is_(None), OutboxEntry.kind.in_(sorted(MAILS))),
    ),
)
_OUTBOX = (_DELIVERED, _UNSENT_MAIL)

# What refers to a merged clinic finds its successor by this part of the merge, so it stays while there is a successor.
_CLINIC: ColumnElement[str] = literal_column(f"'{MergeElementType.CLINIC}'")
_IS_CLINIC = MergePlanElement.type == _CLINIC
_later = aliased(MergePlanElement)
_LEADS_NOWHERE = and_(
    not_(exists().where(Clinic.id == MergePlanElement.clinic_id)),
    # Not correlated, because the later merge may be on another machine.
    MergePlanElement.clinic_id.not_in(select(_later.source_id).where(_later.type == _CLINIC)),
)
_OTHERS = (
    *(
        _Kind(name, "keep_deletion_records_days", _older(model, model.deleted_time))
        for name, model in (
            ("deletion records of clinics", ClinicDeletion),
            ("deletion records of clinicians", ClinicianDeletion),
            ("deletion records of patients", PatientDeletion),
        )
    ),
    _Kind(
        "parts of merges",
        "keep_deletion_records_days",
        _older(MergePlanElement, MergePlanElement.plan_id, not_(_IS_CLINIC)),
    ),
    _Kind(
        "merges into deleted clinics",
        "keep_deletion_records_days",
        _older(MergePlanElement, MergePlanElement.plan_id, _IS_CLINIC, _LEADS_NOWHERE),
    ),
    _Kind("changes of roles", "keep_deletion_records_days", _older(ClinicianRoleUpdate, ClinicianRoleUpdate.time)),
    _Kind(
        "deletions of accounts", "keep_account_deletions_days", _older(AccountDeletion, AccountDeletion.deleted_time)
    ),
    _Kind(
        "closed invitations",
        "keep_closed_invites_days",
        # A constant in the statement, because a parameter would keep planners from using the partial index.
        _older(Invite, Invite.modified, Invite.status != literal_column(f"'{InviteStatus.PENDING}'")),
    ),
    _Kind("views of reports", "keep_partner_messages_days", _older(XealthReportView, XealthReportView.created_time)),
)


class Removed(NamedTuple):
    """How many rows of one kind were removed."""

    name: str
    number: int


def purge_outbox(database: Database, config: Config) -> list[Removed]:
    """Remove delivered events, and mail that was never tried, when they have expired."""
    return [_purge(database, config, kind) for kind in _OUTBOX]


def purge_stored_answers(database: Database) -> Removed:
    """Remove the stored answers to requests with an Idempotency-Key when they have expired."""
    return Removed("stored answers", run_in_batches(database, lambda uow: uow.stored_answers.remove_expired(BATCH)))


def purge_all(database: Database, config: Config) -> Iterator[Removed]:
    """Remove everything that has expired, kind by kind."""
    for kind in (*_OUTBOX, *_OTHERS):
        yield _purge(database, config, kind)
    yield purge_stored_answers(database)
    messages = partner_messages.purge(database, timedelta(days=config.keep_partner_messages_days))
    yield Removed("messages of partners", sum(messages))


def _purge(database: Database, config: Config, kind: _Kind) -> Removed:
    before = clock.precise_now() - timedelta(days=getattr(config, kind.setting))
    parameters = {"before": before, "before_id": first_id(before), "batch": BATCH}
    return Removed(kind.name, run_in_batches(database, lambda uow: uow.execute(kind.removal, parameters).rowcount))


class Retention:
    """Removes everything that has expired, again and again. Several processes may do so on one database."""

    name = "retention"

    def __init__(self, database: Database, config: Config) -> None:
        self._database, self._config = database, config

    def run(self, stop: threading.Event) -> None:
        """Remove until `stop` is set. Continues when the database cannot be used for a while."""
        while not stop.wait(self._config.retention_pause_seconds):
            try:
                for removed in purge_all(self._database, self._config):
                    if removed.number:
                        _log.info("rows_expired", extra={"kind": removed.name, "number": removed.number})
                    if stop.is_set():
                        return
            except Exception as error:
                _log.warning("retention_failed", extra={"failure": type(error).__name__})
