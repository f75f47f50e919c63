"""Schedules the reports of subscribed patients of a clinic or of one user. The relay makes and sends them later.

One statement schedules the reports of a clinic, whatever the number of its patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, ScalarSelect, Select, Text, and_, bindparam, func, insert, literal, select

from clinic_service.db.dialects import numbered_id
from clinic_service.db.repository import until_unchanged
from clinic_service.models import (
    IS_REDOX_SUBSCRIPTION,
    MATCHES_OF_SUBSCRIPTION,
    SUBSCRIPTIONS_OF_PATIENT,
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

_ACTIVE = and_(IS_REDOX_SUBSCRIPTION, EhrSubscription.active)
_IS_SUBSCRIBED = and_(SUBSCRIPTIONS_OF_PATIENT, _ACTIVE)
_TAKES_MESSAGES = and_(Clinic.ehr_provider == EhrProvider.REDOX, Clinic.ehr_enabled)
_COUNT_SUBSCRIBED = select(func.count().label("number")).where(
    EhrSubscription.clinic_id == bindparam("clinic_id"), _ACTIVE
)
_LOCK_CLINICS_OF_SUBSCRIBED = (
    select(Clinic.id, Clinic.ehr_on_upload)
    .join(Patient, Patient.clinic_id == Clinic.id)
    .join(EhrSubscription, _IS_SUBSCRIBED)
    .where(Patient.user_id == bindparam("user_id"), _TAKES_MESSAGES)
    .order_by(Clinic.id)
    .with_for_update(of=Clinic)
)


_LAST_MESSAGE = (
    select(MatchedMessage.document_id)
    .where(MATCHES_OF_SUBSCRIPTION)
    .order_by(MatchedMessage.position.desc())
    .limit(1)
    .scalar_subquery()
    .label("message_id")
)
_USER = (
    select(Patient.user_id)
    .where(Patient.clinic_id == EhrSubscription.clinic_id, Patient.id == EhrSubscription.patient_id)
    .scalar_subquery()
    .label("user_id")
)
# Subqueries look up the rows of each subscription by their keys. With joins, a database without statistics of the tables
# may scan a whole table for each subscription.
_SUBSCRIBED_IN_CLINIC = select(EhrSubscription.clinic_id, _USER, _LAST_MESSAGE).where(
    EhrSubscription.clinic_id == bindparam("of_clinic"), _ACTIVE
)
_SUBSCRIPTIONS_OF_USER = (
    select(Patient.clinic_id, Patient.user_id, _LAST_MESSAGE)
    .join(EhrSubscription, _IS_SUBSCRIBED)
    .join(Clinic, Clinic.id == Patient.clinic_id)
    .where(Patient.user_id == bindparam("of_user"), _TAKES_MESSAGES, Clinic.ehr_on_upload)
)


def _scheduling(subscriptions: Select[*tuple[Any, ...]]) -> Any:
    """The statement that stores a report for each of the subscriptions whose message is stored."""
    subscribed = subscriptions.cte("subscribed").prefix_with("MATERIALIZED")

    def preceding(column: Any) -> ScalarSelect[Any]:
        """The column of the latest earlier report of the same patient and message."""
        return (
            select(column)
            .where(
                ScheduledReportOrder.clinic_id == subscribed.c.clinic_id,
                ScheduledReportOrder.user_id == subscribed.c.user_id,
                ScheduledReportOrder.message_id == subscribed.c.message_id,
            )
            .order_by(ScheduledReportOrder.id.desc())
            .limit(1)
            .scalar_subquery()
        )

    number = func.row_number().over(order_by=(subscribed.c.clinic_id, subscribed.c.user_id))
    columns = {
        "clinic_id": subscribed.c.clinic_id,
        "id": numbered_id(
            bindparam("id_prefix", type_=Text()), bindparam("before_first_id", type_=BigInteger()) + number
        ),
        "user_id": subscribed.c.user_id,
        "message_id": subscribed.c.message_id,
        "created_time": bindparam("created_time", type_=ScheduledReportOrder.created_time.type),
        "preceding_id": preceding(ScheduledReportOrder.id),
        "preceding_created_time": preceding(ScheduledReportOrder.created_time),
        "state": literal(ReportOrderState.PENDING, ScheduledReportOrder.state.type),
    }
    is_stored = select(RedoxMessage.id).where(RedoxMessage.id == subscribed.c.message_id).exists()
    return (
        insert(ScheduledReportOrder)
        .from_select(list(columns), select(*columns.values()).where(is_stored))
        .returning(ScheduledReportOrder.id, ScheduledReportOrder.clinic_id, ScheduledReportOrder.user_id)
    )


_SCHEDULE_FOR_CLINIC = _scheduling(_SUBSCRIBED_IN_CLINIC)
_SCHEDULE_FOR_USER = _scheduling(_SUBSCRIPTIONS_OF_USER)


def sync_clinic(uow: UnitOfWork, clinic_id: str) -> None:
    """Schedule a report for each patient of the clinic with an active subscription whose message is stored.

    Every call schedules new reports. Raises ClinicNotFound, and RedoxNotEnabled unless the clinic is connected by Redox.
    """
    clinic = uow.clinics.lock(clinic_id)
    if clinic.ehr_provider is not EhrProvider.REDOX or not clinic.ehr_enabled:
        raise RedoxNotEnabled
    most = uow.rows(_COUNT_SUBSCRIBED, {"clinic_id": clinic_id})[0].number
    _schedule(uow, _SCHEDULE_FOR_CLINIC, {"of_clinic": clinic_id}, most)


def sync_patient(uow: UnitOfWork, user_id: str) -> None:
    """Schedule a report of the user in each clinic that is connected by Redox and has reports after uploads enabled.

    Nothing is scheduled when the user is subscribed only in other clinics. Raises SubscriptionNotFound when the user has
    no active subscription in any clinic that is connected by Redox.
    """
    # A merge may move the patient to another clinic while the lock is waited for.
    clinics = until_unchanged(lambda: uow.rows(_LOCK_CLINICS_OF_SUBSCRIBED, {"user_id": user_id}))
    if not clinics:
        raise SubscriptionNotFound
    most = sum(bool(clinic.ehr_on_upload) for clinic in clinics)
    _schedule(uow, _SCHEDULE_FOR_USER, {"of_user": user_id}, most)


def _schedule(uow: UnitOfWork, statement: Any, chosen: Mapping[str, str], most: int) -> None:
    """Run `statement`, which stores at most `most` reports, and add an event for each of them."""
    if not most:
        return
    ids = uow.new_ids(most)
    made = {"id_prefix": ids.prefix, "before_first_id": ids.first - 1, "created_time": uow.creation_time}
    orders = sorted(uow.execute(statement, {**chosen, **made}))
    uow.outbox.add(*(EhrReportScheduled(order.user_id, order.id, order.clinic_id) for order in orders))
