"""The lists that operators see: the connected clinics, their patients, and the stored messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, func, not_, select

from clinic_service.db.dialects import among
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.errors import ConstraintViolation, NotFound
from clinic_service.models import (
    Clinic,
    EhrProvider,
    EhrSubscription,
    OrderOutcome,
    OrderState,
    Patient,
    RedoxMessage,
)
from clinic_service.resources.ehr.matching import EhrClinic
from clinic_service.resources.settings.schemas import ehr_settings_schema


class ListedClinic(NamedTuple):
    """A clinic that is enabled for messages."""

    id: str
    name: str | None


class ListedMessage(NamedTuple):
    """A stored message without its content. `state` and `failure` are None unless it is an order with an outcome."""

    id: str
    received_time: datetime
    data_model: str
    event_type: str
    source_id: str | None
    log_id: str | None
    duplicate_of: str | None
    state: OrderState | None
    failure: str | None


_HAS_SUBSCRIPTION = (
    select(EhrSubscription.name)
    .where(EhrSubscription.clinic_id == bindparam("clinic_id"), EhrSubscription.patient_id == Patient.id)
    .exists()
)
_HAS_MRN = Patient.mrn_match_key.is_not(None)
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "user_id": Patient.user_id == bindparam("user_id"),
    "with_subscription": _HAS_SUBSCRIPTION,
    "without_subscription": not_(_HAS_SUBSCRIPTION),
    "with_mrn": _HAS_MRN,
    "without_mrn": not_(_HAS_MRN),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice of patients; None is no condition. A subscription counts whether it is active or not."""

    user_id: str | None = None
    has_subscription: bool | None = None
    has_mrn: bool | None = None

    @property
    def conditions(self) -> frozenset[str]:
        """The names of the conditions that the chosen patients fulfil."""
        named = {
            "user_id": self.user_id is not None,
            "with_subscription": self.has_subscription is True,
            "without_subscription": self.has_subscription is False,
            "with_mrn": self.has_mrn is True,
            "without_mrn": self.has_mrn is False,
        }
        return frozenset(name for name, applies in named.items() if applies)


class NotConnected(NotFound):
    message = "The clinic is not connected to a health record system."


class ConnectedOtherwise(ConstraintViolation):
    message = "The clinic is connected to its health record system by another partner."


class ListedPatient(NamedTuple):
    """A patient, with the provider of each subscription and whether that is active."""

    mrn: str | None
    full_name: str | None
    user_id: str
    subscriptions: tuple[tuple[str, bool], ...]


@cache
def _page(conditions: frozenset[str]) -> Select[*tuple[Any, ...]]:
    """The query for a page, sorted by medical record number. Patients without a number come last."""
    return (
        select(Patient.id, Patient.user_id, Patient.full_name, Patient.mrn)
        .where(*_where(conditions))
        .order_by(Patient.mrn_key.is_(None), Patient.mrn_key, Patient.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )


@cache
def _count(conditions: frozenset[str]) -> Select[int]:
    return select(func.count().label("number")).select_from(Patient).where(*_where(conditions))


def _where(conditions: frozenset[str]) -> Iterable[ColumnElement[bool]]:
    chosen = (condition for name, condition in _CONDITIONS.items() if name in conditions)
    return (Patient.clinic_id == bindparam("clinic_id"), *chosen)


class EhrOverview(Repository):
    """Lists for operators."""

    _CLINICS = Query(
        ListedClinic,
        select(Clinic.id, Clinic.name).where(Clinic.ehr_enabled).order_by(Clinic.created_time, Clinic.id),
    )

    def list_clinics(self) -> Sequence[ListedClinic]:
        """All clinics that are enabled for messages, oldest first."""
        return self._uow.rows(self._CLINICS, {})

    _CLINIC = select(Clinic.ehr_provider, Clinic.ehr_settings).where(
        Clinic.id == bindparam("clinic_id"), Clinic.ehr_enabled
    )

    def get_clinic(self, clinic_id: str, provider: EhrProvider | None = None) -> EhrClinic:
        """The EHR clinic. Raises NotConnected, and ConnectedOtherwise when it is connected by another partner."""
        row = self._uow.first(self._CLINIC, {"clinic_id": clinic_id})
        if row is None:
            raise NotConnected
        if provider is not None and row.ehr_provider is not provider:
            raise ConnectedOtherwise
        return EhrClinic(clinic_id, ehr_settings_schema.load(row.ehr_settings))

    def count_patients(self, clinic_id: str, chosen: Chosen) -> int:
        """The number of the clinic's patients that are chosen."""
        parameters = {"clinic_id": clinic_id, **_given(chosen)}
        return int(self._uow.rows(_count(chosen.conditions), parameters)[0].number)

    _SUBSCRIPTIONS = (
        select(EhrSubscription.patient_id, EhrSubscription.provider, EhrSubscription.active)
        .where(EhrSubscription.clinic_id == bindparam("clinic_id"), among(EhrSubscription.patient_id, "patient_ids"))
        .order_by(EhrSubscription.patient_id, EhrSubscription.name)
    )

    def list_patients(self, clinic_id: str, chosen: Chosen, *, limit: int, offset: int) -> list[ListedPatient]:
        """A page of the chosen patients by medical record number, in two statements."""
        parameters = {"clinic_id": clinic_id, "limit": limit, "offset": offset, **_given(chosen)}
        rows = self._uow.rows(_page(chosen.conditions), parameters)
        found = {"clinic_id": clinic_id, "patient_ids": [row.id for row in rows]}
        subscriptions: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        for one in self._uow.rows(self._SUBSCRIPTIONS, found):
            subscriptions[one.patient_id].append((one.provider, bool(one.active)))
        return [ListedPatient(row.mrn, row.full_name, row.user_id, tuple(subscriptions[row.id])) for row in rows]

    _MESSAGES = Query(
        ListedMessage,
        select(
            RedoxMessage.id,
            RedoxMessage.received_time,
            RedoxMessage.data_model,
            RedoxMessage.event_type,
            RedoxMessage.source_id,
            RedoxMessage.log_id,
            RedoxMessage.duplicate_of,
            OrderOutcome.state,
            OrderOutcome.failure,
        )
        .outerjoin(OrderOutcome, OrderOutcome.message_id == RedoxMessage.id)
        .order_by(RedoxMessage.received_time.desc(), RedoxMessage.id.desc())
        .limit(bindparam("limit"))
        .offset(bindparam("offset")),
    )

    def list_messages(self, *, limit: int, offset: int) -> Sequence[ListedMessage]:
        """A page of the stored messages, latest first."""
        return self._uow.rows(self._MESSAGES, {"limit": limit, "offset": offset})


def _given(chosen: Chosen) -> dict[str, str]:
    return {} if chosen.user_id is None else {"user_id": chosen.user_id}
