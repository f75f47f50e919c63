"""Backfill: gives custodial accounts without an address the address in the last order for the patient."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.orm import aliased

from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.db.engine import Database
from clinic_service.errors import ServiceError
from clinic_service.models import (
    IS_REDOX_SUBSCRIPTION,
    MATCHES_OF_SUBSCRIPTION,
    EhrSubscription,
    MatchedMessage,
    Patient,
    RedoxMessage,
)
from clinic_service.preparation import Preparation, Services
from clinic_service.resources.ehr.redox.addresses import change_address, replace_record, usable_email
from clinic_service.resources.ehr.redox.members import text
from clinic_service.resources.ehr.redox.task import compensated
from clinic_service.resources.patients.accounts import update
from clinic_service.unit_of_work import UnitOfWork, run

_OPERATOR = Caller("clinic-service ehr", CallerKind.SERVICE)

_later = aliased(MatchedMessage)
_LAST_POSITION = (
    select(func.max(_later.position))
    .where(
        _later.clinic_id == bindparam("clinic_id"),
        _later.patient_id == MatchedMessage.patient_id,
        _later.name == MatchedMessage.name,
    )
    .scalar_subquery()
)
# Pages by id and not by offset, so that no patient is skipped when others leave the list meanwhile.
_BATCH = (
    select(Patient.id, Patient.user_id, RedoxMessage.payload)
    .join(
        EhrSubscription,
        and_(EhrSubscription.clinic_id == Patient.clinic_id, EhrSubscription.patient_id == Patient.id),
    )
    .outerjoin(
        MatchedMessage,
        and_(
            MATCHES_OF_SUBSCRIPTION,
            MatchedMessage.position == _LAST_POSITION,
        ),
    )
    .outerjoin(RedoxMessage, RedoxMessage.id == MatchedMessage.document_id)
    .where(
        Patient.clinic_id == bindparam("clinic_id"),
        Patient.id > bindparam("after"),
        Patient.permission_custodian,
        Patient.email.is_(None),
        IS_REDOX_SUBSCRIPTION,
        EhrSubscription.active,
    )
    .order_by(Patient.id)
    .limit(bindparam("limit"))
)


class Backfill(StrEnum):
    """The result for one patient."""

    GIVEN = "given"
    # In a dry run.
    WOULD_BE_GIVEN = "would be given"
    NO_ORDER = "the order is not stored"
    NO_ADDRESS = "the order has no address"
    TAKEN = "the address is somebody else's"


class BackfilledPatient(NamedTuple):
    """A patient whose account had no address. `outcome` is a member of `Backfill`, or the message of an error."""

    user_id: str
    outcome: str


def backfill(
    database: Database, services: Services, clinic_id: str, *, batch_size: int, dry_run: bool
) -> Iterator[BackfilledPatient]:
    """Give addresses, patient by patient. After an error it continues with the next patient. A dry run changes nothing."""
    after = ""
    while rows := run(database, partial(_list, clinic_id=clinic_id, after=after, limit=batch_size), writes=False):
        for row in rows:
            yield BackfilledPatient(row.user_id, _outcome(database, services, clinic_id, row, dry_run=dry_run))
        after = rows[-1].id


def _list(uow: UnitOfWork, clinic_id: str, after: str, limit: int) -> list[Any]:
    return uow.rows(_BATCH, {"clinic_id": clinic_id, "after": after, "limit": limit})


def _outcome(database: Database, services: Services, clinic_id: str, row: Any, *, dry_run: bool) -> str:
    if row.payload is None:
        return Backfill.NO_ORDER
    order = orjson.loads(row.payload)
    email = usable_email(order, text(order, "Patient", "Demographics", "DOB") or "")
    if email is None:
        return Backfill.NO_ADDRESS
    if dry_run:
        return Backfill.WOULD_BE_GIVEN
    try:
        return run(
            database,
            lambda uow: _give(Preparation(_OPERATOR, uow, services, database), clinic_id, row.user_id, email),
            writes=False,
        )
    except ServiceError as error:
        return error.message


def _give(ctx: Preparation, clinic_id: str, user_id: str, email: str) -> Backfill:
    changed = change_address(ctx, clinic_id, user_id, email)
    if changed.address is None:
        return Backfill.TAKEN

    def replace(uow: UnitOfWork) -> None:
        uow.clinics.lock(clinic_id)
        replace_record(uow, uow.patients.lock(clinic_id, user_id), changed, ctx.mail_sender)

    with compensated(ctx, lambda uow: update.compensate(uow, changed)):
        ctx.in_transaction(replace)
    return Backfill.GIVEN
