"""Schedules the reports of subscribed patients of a clinic or of one user. The relay makes and sends them later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, and_, bindparam, select

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.locks import lock_by_clinic, locking
from clinic_service.db.prepared import Query, insert_into
from clinic_service.models import (
    IS_REDOX_SUBSCRIPTION,
    Clinic,
    EhrProvider,
    EhrSubscription,
    MatchedMessage,
    Patient,
    RedoxMessage,
    ReportOrderState,
    ScheduledReportOrder,
)
from clinic_service.outbox.events import EhrReportScheduled
from clinic_service.resources.ehr.errors import RedoxNotEnabled, SubscriptionNotFound
from clinic_service.unit_of_work import UnitOfWork

_OF_CLINIC = bindparam("clinic_id", type_=Clinic.id.type)
_ACTIVE = and_(EhrSubscription.clinic_id == _OF_CLINIC, IS_REDOX_SUBSCRIPTION, EhrSubscription.active)
_RECORD = select(Patient.id).where(Patient.clinic_id == _OF_CLINIC, Patient.user_id == bindparam("user_id"))
_OF_USER = EhrSubscription.patient_id == _RECORD.scalar_subquery()
_IS_SUBSCRIBED = select(EhrSubscription.name).where(_ACTIVE, _OF_USER).exists()
_LOCK_CLINIC = locking(
    select(
        Clinic.ehr_on_upload,
        and_(Clinic.ehr_provider == EhrProvider.REDOX, Clinic.ehr_enabled, _IS_SUBSCRIBED).label("is_subscribed"),
    ),
    Clinic,
)
# Subqueries look up the rows of each subscription by their keys. With joins, a database without statistics of the tables
# may scan a whole table for each subscription.
_LAST_MESSAGE = (
    select(MatchedMessage.document_id)
    .where(
        MatchedMessage.clinic_id == _OF_CLINIC,
        MatchedMessage.patient_id == EhrSubscription.patient_id,
        MatchedMessage.name == EhrSubscription.name,
    )
    .order_by(MatchedMessage.position.desc())
    .limit(1)
    .scalar_subquery()
    .label("message_id")
)
_USER = (
    select(Patient.user_id)
    .where(Patient.clinic_id == _OF_CLINIC, Patient.id == EhrSubscription.patient_id)
    .scalar_subquery()
    .label("user_id")
)


class _Due(NamedTuple):
    """A subscription whose message is stored, and the latest earlier report of the same patient and message."""

    user_id: str
    message_id: str
    preceding_id: str | None
    preceding_created_time: datetime | None


def _due(*conditions: ColumnElement[bool]) -> Query[_Due]:
    """The query for the active subscriptions of the clinic that fulfil the conditions."""
    subscribed = select(_USER, _LAST_MESSAGE).where(_ACTIVE, *conditions).cte("subscribed").prefix_with("MATERIALIZED")

    def preceding(column: Any) -> ScalarSelect[Any]:
        return (
            select(column)
            .where(
                ScheduledReportOrder.clinic_id == _OF_CLINIC,
                ScheduledReportOrder.user_id == subscribed.c.user_id,
                ScheduledReportOrder.message_id == subscribed.c.message_id,
            )
            .order_by(ScheduledReportOrder.id.desc())
            .limit(1)
            .scalar_subquery()
        )

    return Query(
        _Due,
        select(
            subscribed.c.user_id,
            subscribed.c.message_id,
            preceding(ScheduledReportOrder.id).label("preceding_id"),
            preceding(ScheduledReportOrder.created_time).label("preceding_created_time"),
        )
        .where(select(RedoxMessage.id).where(RedoxMessage.id == subscribed.c.message_id).exists())
        .order_by(subscribed.c.user_id),
    )


_DUE_IN_CLINIC = _due()
_DUE_OF_USER = _due(_OF_USER)
_ADD = insert_into(
    ScheduledReportOrder,
    "clinic_id",
    "id",
    "user_id",
    "message_id",
    "created_time",
    "preceding_id",
    "preceding_created_time",
    "state",
)


def sync_clinic(uow: UnitOfWork, clinic_id: str) -> None:
    """Schedule a report for each patient of the clinic with an active subscription whose message is stored.

    Every call schedules new reports. Raises ClinicNotFound, and RedoxNotEnabled unless the clinic is connected by Redox.
    """
    clinic = uow.clinics.lock(clinic_id)
    if clinic.ehr_provider is not EhrProvider.REDOX or not clinic.ehr_enabled:
        raise RedoxNotEnabled
    _schedule(uow, {clinic_id: uow.rows(_DUE_IN_CLINIC, {"clinic_id": clinic_id})})


def sync_patient(uow: UnitOfWork, user_id: str) -> None:
    """Schedule a report of the user in each clinic that is connected by Redox and has reports after uploads enabled.

    Nothing is scheduled when the user is subscribed only in other clinics. Raises SubscriptionNotFound when the user has
    no active subscription in any clinic that is connected by Redox.
    """

    def lock(clinic_id: str) -> list[tuple[str, Any]]:
        return [(clinic_id, row) for row in uow.rows(_LOCK_CLINIC, {"clinic_id": clinic_id, "user_id": user_id})]

    locked = lock_by_clinic(lambda: ClinicsOfUsers(uow).of_patient(user_id), lock)
    subscribed = [(clinic_id, row) for clinic_id, row in locked if row.is_subscribed]
    if not subscribed:
        raise SubscriptionNotFound
    due = {
        clinic_id: uow.rows(_DUE_OF_USER, {"clinic_id": clinic_id, "user_id": user_id})
        for clinic_id, row in subscribed
        if row.ehr_on_upload
    }
    _schedule(uow, due)


def _schedule(uow: UnitOfWork, due: Mapping[str, Iterable[_Due]]) -> None:
    """Store a report for each of the subscriptions, which are given by clinic, and add an event for it."""
    same = {"created_time": uow.creation_time, "state": ReportOrderState.PENDING}
    rows = [
        {"clinic_id": clinic_id, "id": uow.new_id(), **one._asdict(), **same}
        for clinic_id, of_clinic in due.items()
        for one in of_clinic
    ]
    uow.insert(_ADD, *rows)
    uow.outbox.add(*(EhrReportScheduled(row["user_id"], row["id"], row["clinic_id"]) for row in rows))
