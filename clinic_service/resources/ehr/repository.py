"""The queries about the integration of health record systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import aliased

from clinic_service.db.dialects import insert_or_skip, insert_or_update
from clinic_service.db.locks import lock_by_clinic, locking
from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import (
    MATCHES_OF_SUBSCRIPTION,
    Clinic,
    EhrProvider,
    EhrSubscription,
    MatchedMessage,
    Patient,
    RedoxMessage,
    SubscriptionKind,
)

_MOST_OF_A_CRITERION = 100
# The maximum number of documents that are stored for a subscription. Older documents are deleted.
MAX_MATCHES = 100
_later = aliased(MatchedMessage)


def is_last_match(clinic_id: Any) -> ColumnElement[bool]:
    """The condition for a matched document that changed its subscription last.

    `clinic_id` is the parameter of a query for one clinic, else the column.
    """
    return ~(
        select(_later.position)
        .where(
            _later.clinic_id == clinic_id,
            _later.patient_id == MatchedMessage.patient_id,
            _later.name == MatchedMessage.name,
            _later.position > MatchedMessage.position,
        )
        .exists()
    )


class EhrClinicRow(NamedTuple):
    """A clinic that is enabled for messages, with its EHR settings as they are stored."""

    id: str
    ehr_settings: dict[str, Any] | None


class MatchRow(NamedTuple):
    """A patient who fits the criterion of the number `rank`."""

    rank: int
    id: str
    user_id: str
    birth_date: str | None
    name_key: bytes


class SubscriptionRow(NamedTuple):
    """A subscription, and the document that changed it last; None for each column without a document."""

    active: bool
    document_id: str | None
    data_model: str | None
    event_type: str | None


class MessageRow(NamedTuple):
    """The source of a message, and its text as it was received."""

    source_id: str | None
    payload: str


_MRN = Patient.mrn_match_key == bindparam("mrn_key")
_BIRTH_DATE = Patient.birth_date == bindparam("birth_date")
_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "MRN": _MRN,
    "MRN_DOB": and_(_MRN, _BIRTH_DATE),
    "DOB_FULLNAME": and_(_BIRTH_DATE, Patient.name_match_key == bindparam("name_key")),
}


@cache
def _matching(criteria: tuple[str, ...]) -> Query[MatchRow]:
    """The query for the patients. A patient who fits several criteria has a row for each."""
    fitting = union_all(*(_fitting(rank, criterion) for rank, criterion in enumerate(criteria)))
    return Query(MatchRow, fitting.order_by("rank", "name_key", "id"))


def _fitting(rank: int, criterion: str) -> Select[*tuple[Any, ...]]:
    fitting = (
        select(Patient.id, Patient.user_id, Patient.birth_date, Patient.name_key)
        .where(Patient.clinic_id == bindparam("clinic_id"), _CONDITIONS[criterion])
        .cte(f"fitting_{rank}")
        # Otherwise a planner may scan all names of a clinic, to avoid sorting the few matches.
        .prefix_with("MATERIALIZED")
    )
    first_ones = (
        select(literal_column(str(rank)).label("rank"), *fitting.c)
        .order_by(fitting.c.name_key, fitting.c.id)
        .limit(_MOST_OF_A_CRITERION)
        .subquery()
    )
    return select(first_ones)


_MESSAGE_COLUMNS = (
    *("id", "data_model", "event_type", "source_id", "source_name", "facility_code", "event_time", "is_test"),
    *("log_id", "log_attempt_id", "destination_ids", "payload", "payload_hash", "duplicate_of", "received_time"),
)


class MatchedDocumentRow(Protocol):
    """A matched document, as `subscriptions.MatchedDocument`."""

    @property
    def id(self) -> str: ...
    @property
    def data_model(self) -> str: ...
    @property
    def event_type(self) -> str: ...


class EhrRepository(Repository):
    """Clinics and patients by the values in messages, and the subscriptions of patients."""

    _ENABLED_CLINICS = select(Clinic.id, Clinic.ehr_settings).where(
        Clinic.ehr_provider == bindparam("provider"),
        Clinic.ehr_source_id == bindparam("source_id"),
        Clinic.ehr_enabled,
    )
    _CLINICS = Query(EhrClinicRow, _ENABLED_CLINICS.order_by(Clinic.id).limit(2))
    _LOCK_CLINIC = Query(EhrClinicRow, locking(_ENABLED_CLINICS, Clinic))

    def find_clinics(self, provider: EhrProvider, source_id: str, *, lock: bool) -> Sequence[EhrClinicRow]:
        """At most two clinics that are enabled for messages of the source.

        `lock` locks their rows until this unit ends.
        """
        this = {"provider": provider, "source_id": source_id}
        if not lock:
            return self._uow.rows(self._CLINICS, this)
        return lock_by_clinic(
            lambda: [row.id for row in self._uow.rows(self._CLINICS, this)],
            lambda clinic_id: self._uow.rows(self._LOCK_CLINIC, {"clinic_id": clinic_id, **this}),
        )

    def match_patients(self, clinic_id: str, criteria: tuple[str, ...], keys: Mapping[str, Any]) -> Sequence[MatchRow]:
        """The patients who fit one of the different `criteria`; a patient who fits several has a row for each.

        `keys` are the `mrn_key`, `birth_date` and `name_key` to look for. Returns at most 100 patients for each criterion,
        sorted by name, then by id. Those of the first criterion come first.
        """
        return self._uow.rows(_matching(criteria), {"clinic_id": clinic_id, **keys})

    _SUBSCRIPTION = Query(
        SubscriptionRow,
        select(EhrSubscription.active, MatchedMessage.document_id, MatchedMessage.data_model, MatchedMessage.event_type)
        .outerjoin(MatchedMessage, MATCHES_OF_SUBSCRIPTION)
        .where(
            EhrSubscription.clinic_id == bindparam("clinic_id"),
            EhrSubscription.patient_id == bindparam("patient_id"),
            EhrSubscription.name == bindparam("name"),
            EhrSubscription.provider == bindparam("provider"),
        )
        .order_by(MatchedMessage.position.desc())
        .limit(1),
    )

    def find_subscription(self, clinic_id: str, patient_id: str, kind: SubscriptionKind) -> SubscriptionRow | None:
        """The subscription of the patient's record; None when there never was one."""
        key = {"clinic_id": clinic_id, "patient_id": patient_id, "name": kind.name, "provider": kind.provider}
        return self._uow.first(self._SUBSCRIPTION, key)

    _POSITIONS = select(
        func.coalesce(func.max(MatchedMessage.position), -1).label("last"),
        func.max(case((MatchedMessage.document_id == bindparam("document_id"), 1), else_=0)).label("is_matched"),
    ).where(
        MatchedMessage.clinic_id == bindparam("clinic_id"),
        MatchedMessage.patient_id == bindparam("patient_id"),
        MatchedMessage.name == bindparam("name"),
    )

    def next_position(self, patient: Patient, kind: SubscriptionKind, document_id: str) -> int | None:
        """The position of the next document that changes the subscription; None when this one has already changed it."""
        row = self._uow.rows(self._POSITIONS, {**_key(patient, kind), "document_id": document_id})[0]
        return None if row.is_matched else int(row.last) + 1

    _SET_SUBSCRIPTION = insert_or_update(EhrSubscription, "provider", "active", "updated_time")
    _ADD_MATCH = insert_into(
        MatchedMessage, "clinic_id", "patient_id", "name", "position", "document_id", "data_model", "event_type"
    )
    _REMOVE_MATCHES = delete(MatchedMessage).where(
        MatchedMessage.clinic_id == bindparam("clinic_id"),
        MatchedMessage.patient_id == bindparam("patient_id"),
        MatchedMessage.name == bindparam("name"),
        MatchedMessage.position <= bindparam("last"),
    )

    def store_match(
        self, patient: Patient, kind: SubscriptionKind, position: int, document: MatchedDocumentRow, *, active: bool
    ) -> None:
        """Make the subscription active or inactive, and store the document that changed it. Old ones are forgotten."""
        key = _key(patient, kind)
        times = {"created_time": self._uow.now, "updated_time": self._uow.now}
        self._uow.insert(self._SET_SUBSCRIPTION, {**key, "provider": kind.provider, "active": active, **times})
        match = {"document_id": document.id, "data_model": document.data_model, "event_type": document.event_type}
        self._uow.insert(self._ADD_MATCH, {**key, "position": position, **match})
        if position >= MAX_MATCHES:
            self._uow.change(self._REMOVE_MATCHES, {**key, "last": position - MAX_MATCHES})

    _DEACTIVATE = (
        update(EhrSubscription)
        .where(
            EhrSubscription.clinic_id == bindparam("of_clinic"),
            EhrSubscription.patient_id == bindparam("of_patient"),
            EhrSubscription.active,
        )
        .values(active=False, updated_time=bindparam("now"))
    )

    def deactivate(self, clinic_id: str, patient_id: str) -> None:
        """Make all subscriptions of the patient's record inactive."""
        self._uow.change(self._DEACTIVATE, {"of_clinic": clinic_id, "of_patient": patient_id, "now": self._uow.now})

    _ADD_MESSAGE = (
        insert_or_skip(RedoxMessage)
        .values({name: bindparam(name) for name in _MESSAGE_COLUMNS})
        .returning(RedoxMessage.id)
    )
    _FIRST_DELIVERY = select(RedoxMessage.id).where(
        RedoxMessage.source_id == bindparam("source_id"),
        RedoxMessage.log_id == bindparam("log_id"),
        RedoxMessage.payload_hash == bindparam("payload_hash"),
        RedoxMessage.duplicate_of.is_(None),
    )

    def add_message(self, columns: Mapping[str, Any]) -> str:
        """Store a message of Redox and return its new id. A message that was delivered before is marked as a duplicate.

        `columns` are those of a `RedoxMessage` that this method does not set itself.
        """
        row = {**columns, "id": self._uow.new_id(), "received_time": self._uow.creation_time, "duplicate_of": None}
        # Only the index can decide: another transaction may be about to commit the same message. The first delivery may
        # also have been removed after the index refused this one.
        while self._uow.execute(self._ADD_MESSAGE, row).first() is None:
            first = self._uow.first(self._FIRST_DELIVERY, row)
            row["duplicate_of"] = None if first is None else first.id
        return str(row["id"])

    _MESSAGE = Query(
        MessageRow,
        select(RedoxMessage.source_id, RedoxMessage.payload).where(
            RedoxMessage.id == bindparam("id"),
            RedoxMessage.data_model == bindparam("data_model"),
            RedoxMessage.event_type == bindparam("event_type"),
        ),
    )

    def find_message(self, message_id: str, data_model: str, event_type: str) -> MessageRow | None:
        """The stored message; None when no message of this kind has the id."""
        return self._uow.first(self._MESSAGE, {"id": message_id, "data_model": data_model, "event_type": event_type})


def _key(patient: Patient, kind: SubscriptionKind) -> dict[str, str]:
    return {"clinic_id": patient.clinic_id, "patient_id": patient.id, "name": kind.name}
