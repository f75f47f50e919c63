"""The queries about preorders and orders of Xealth, and about their reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import aliased

from clinic_service.db.dialects import insert_or_update
from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import (
    MATCHES_OF_SUBSCRIPTION,
    XEALTH_REPORTS,
    Clinic,
    DataSource,
    EhrSubscription,
    MatchedMessage,
    Patient,
    Summary,
    Tag,
    XealthOrder,
    XealthPreorder,
    XealthReportView,
)

_TAGS = select(Tag.id, Tag.name).where(Tag.clinic_id == bindparam("clinic_id"))
_PREORDER = select(*XealthPreorder.__table__.columns).where(
    XealthPreorder.clinic_id == bindparam("clinic_id"), XealthPreorder.data_tracking_id == bindparam("tracking_id")
)
_STORE_PREORDER = insert_or_update(
    XealthPreorder,
    "deployment",
    "mrn",
    "email",
    "connect_abbott",
    "connect_dexcom",
    "guardian_first_name",
    "guardian_last_name",
    "tag_ids",
    "updated_time",
)
_USE_PREORDER = (
    update(XealthPreorder)
    .where(
        XealthPreorder.clinic_id == bindparam("of_clinic"), XealthPreorder.data_tracking_id == bindparam("tracking_id")
    )
    .values(used_time=bindparam("now"))
)
_ADD_ORDER = insert_into(XealthOrder, *(column.key for column in XealthOrder.__table__.columns))
_LAST_APPLIED = (
    select(XealthOrder.id, XealthOrder.event_id, XealthOrder.event_context, XealthOrder.event_time)
    .where(
        XealthOrder.clinic_id == bindparam("clinic_id"),
        XealthOrder.deployment == bindparam("deployment"),
        XealthOrder.order_id == bindparam("order_id"),
        XealthOrder.applied_time.is_not(None),
    )
    .order_by(XealthOrder.created_time.desc(), XealthOrder.id.desc())
    .limit(1)
)
_LATER = aliased(MatchedMessage)
_RESTING_ON = (
    select(EhrSubscription.active)
    .join(
        MatchedMessage,
        MATCHES_OF_SUBSCRIPTION,
    )
    .where(
        MatchedMessage.clinic_id == bindparam("clinic_id"),
        MatchedMessage.document_id == bindparam("document_id"),
        MatchedMessage.name == XEALTH_REPORTS.name,
        ~select(_LATER.position)
        .where(
            _LATER.clinic_id == MatchedMessage.clinic_id,
            _LATER.patient_id == MatchedMessage.patient_id,
            _LATER.name == MatchedMessage.name,
            _LATER.position > MatchedMessage.position,
        )
        .exists(),
    )
)
_ORDER = select(XealthOrder.program_id, XealthOrder.event_time).where(
    XealthOrder.clinic_id == bindparam("clinic_id"), XealthOrder.id == bindparam("order")
)
_ADD_VIEW = insert_into(XealthReportView, *(column.key for column in XealthReportView.__table__.columns))
_LAST_VIEW = (
    select(XealthReportView.created_time)
    .where(
        XealthReportView.clinic_id == bindparam("clinic_id"),
        XealthReportView.patient_id == bindparam("patient_id"),
        XealthReportView.ehr_user_id == bindparam("ehr_user_id"),
        XealthReportView.deployment == bindparam("deployment"),
        XealthReportView.program_id == bindparam("program_id"),
    )
    .order_by(XealthReportView.created_time.desc())
    .limit(1)
)
_DATES = select(Summary.last_data, Summary.last_upload_date, Summary.last_updated_date).where(
    Summary.clinic_id == bindparam("clinic_id"), Summary.patient_id == bindparam("patient_id")
)
_SOURCES = (
    select(DataSource.provider_name, DataSource.state, DataSource.modified_time)
    .where(DataSource.clinic_id == bindparam("clinic_id"), DataSource.patient_id == bindparam("patient_id"))
    .order_by(DataSource.position)
)
_PERMISSIONS = select(
    Patient.permission_custodian, Patient.permission_view, Patient.permission_upload, Patient.permission_note
).where(Patient.clinic_id == bindparam("clinic_id"), Patient.id == bindparam("patient_id"))
_REPORTED_CLINIC = select(Clinic.ehr_enabled, Clinic.preferred_bg_units, Clinic.timezone).where(
    Clinic.id == bindparam("clinic_id")
)
_REPORTED_PATIENT = select(Patient.id, Patient.full_name, Patient.birth_date, Patient.mrn).where(
    Patient.clinic_id == bindparam("clinic_id"), Patient.user_id == bindparam("user_id")
)


class XealthRepository(Repository):
    """Preorders and orders of Xealth, and reports."""

    def list_tags(self, clinic_id: str) -> list[tuple[str, str]]:
        """The ids and names of the clinic's tags, sorted by the code points of the names."""
        rows = self._uow.rows(_TAGS, {"clinic_id": clinic_id})
        return sorted(((row.id, row.name) for row in rows), key=lambda tag: (tag[1], tag[0]))

    def find_preorder(self, clinic_id: str, tracking_id: str) -> Any | None:
        """The input of the form with this tracking id: a row with all columns of XealthPreorder."""
        return self._uow.first(_PREORDER, {"clinic_id": clinic_id, "tracking_id": tracking_id})

    def store_preorder(self, clinic_id: str, tracking_id: str, **columns: Any) -> None:
        """Store the input of the form. It replaces an earlier input."""
        key = {"clinic_id": clinic_id, "data_tracking_id": tracking_id}
        times = {"created_time": self._uow.creation_time, "updated_time": self._uow.now}
        self._uow.insert(_STORE_PREORDER, {**key, **times, "used_time": None, **columns})

    def use_preorder(self, clinic_id: str, tracking_id: str) -> None:
        """Record that an order has created a patient from the input."""
        self._uow.change(_USE_PREORDER, {"of_clinic": clinic_id, "tracking_id": tracking_id, "now": self._uow.now})

    def add_order(self, **columns: Any) -> str:
        """Store an event of an order and return the id of its row. `columns` must have all its other columns."""
        order_id = self._uow.new_id()
        self._uow.insert(_ADD_ORDER, {"id": order_id, "created_time": self._uow.creation_time, **columns})
        return order_id

    def find_last_applied(self, clinic_id: str, deployment: str, order_id: str) -> Any | None:
        """`id`, `event_id`, `event_context` and `event_time` of the last applied event of the order."""
        key = {"clinic_id": clinic_id, "deployment": deployment, "order_id": order_id}
        return self._uow.first(_LAST_APPLIED, key)

    def states_resting_on(self, clinic_id: str, document_id: str) -> list[bool]:
        """Whether each of the subscriptions that this event changed last is active."""
        rows = self._uow.rows(_RESTING_ON, {"clinic_id": clinic_id, "document_id": document_id})
        return [bool(row.active) for row in rows]

    def find_order(self, clinic_id: str, order: str) -> Any | None:
        """`program_id` and `event_time` of the stored event with the row id `order`."""
        return self._uow.first(_ORDER, {"clinic_id": clinic_id, "order": order})

    def add_view(self, **columns: Any) -> None:
        """Record a view of a report."""
        self._uow.insert(_ADD_VIEW, {"id": self._uow.new_id(), "created_time": self._uow.creation_time, **columns})

    def find_last_view(self, **columns: Any) -> Any | None:
        """When the user `ehr_user_id` last looked at the report of the patient, deployment and program, if ever."""
        row = self._uow.first(_LAST_VIEW, columns)
        return None if row is None else row.created_time

    def summary_dates(self, clinic_id: str, patient_id: str) -> Sequence[Any]:
        """`last_data`, `last_upload_date` and `last_updated_date` of each summary of the patient."""
        return self._uow.rows(_DATES, {"clinic_id": clinic_id, "patient_id": patient_id})

    def data_sources(self, clinic_id: str, patient_id: str) -> Sequence[Any]:
        """`provider_name`, `state` and `modified_time` of each data source of the patient, in order."""
        return self._uow.rows(_SOURCES, {"clinic_id": clinic_id, "patient_id": patient_id})

    def permissions(self, clinic_id: str, patient_id: str) -> Any | None:
        """The permissions of the clinic: a row of flags, of which `permission_custodian` is the first."""
        return self._uow.first(_PERMISSIONS, {"clinic_id": clinic_id, "patient_id": patient_id})

    def find_reported_clinic(self, clinic_id: str) -> Any | None:
        """`ehr_enabled`, `preferred_bg_units` and `timezone` of the clinic."""
        return self._uow.first(_REPORTED_CLINIC, {"clinic_id": clinic_id})

    def find_reported_patient(self, clinic_id: str, user_id: str) -> Any | None:
        """`id`, `full_name`, `birth_date` and `mrn` of the clinic's record of the user."""
        return self._uow.first(_REPORTED_PATIENT, {"clinic_id": clinic_id, "user_id": user_id})
