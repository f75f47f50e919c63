"""The queries about preorders and orders of Xealth, and about their reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update

from clinic_service.db.dialects import insert_or_update
from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import (
    MATCHES_OF_SUBSCRIPTION,
    XEALTH_REPORTS,
    BgUnits,
    Clinic,
    DataSource,
    DataSourceState,
    EhrSubscription,
    MatchedMessage,
    Patient,
    Summary,
    Tag,
    XealthOrder,
    XealthPreorder,
    XealthReportView,
)
from clinic_service.resources.ehr.repository import is_last_match


class PreorderRow(NamedTuple):
    """The stored input of a form, without the guardian."""

    data_tracking_id: str
    deployment: str
    mrn: str
    email: str | None
    connect_abbott: bool
    connect_dexcom: bool
    tag_ids: list[str]
    used_time: datetime | None


class AppliedEvent(NamedTuple):
    """An event of an order that was applied; `id` is that of its row."""

    id: str
    event_id: str | None
    event_context: str
    event_time: datetime


class OrderedProgram(NamedTuple):
    """The program of an order, and the time of the event."""

    program_id: str
    event_time: datetime


class SummaryDates(NamedTuple):
    """The dates of one summary."""

    last_data: datetime | None
    last_upload_date: datetime | None
    last_updated_date: datetime | None


class SourceRow(NamedTuple):
    """One data source of a patient."""

    provider_name: str
    state: DataSourceState
    modified_time: datetime | None


class PermissionFlags(NamedTuple):
    """The permissions that a patient grants to the clinic."""

    permission_custodian: bool
    permission_view: bool
    permission_upload: bool
    permission_note: bool


class ReportedClinic(NamedTuple):
    """The data of the clinic that a report shows."""

    ehr_enabled: bool
    preferred_bg_units: BgUnits | None
    timezone: str | None


class ReportedPatient(NamedTuple):
    """The data of the patient that a report shows."""

    id: str
    full_name: str | None
    birth_date: str | None
    mrn: str | None


class XealthRepository(Repository):
    """Preorders and orders of Xealth, and reports."""

    _TAGS = select(Tag.id, Tag.name).where(Tag.clinic_id == bindparam("clinic_id"))

    def list_tags(self, clinic_id: str) -> list[tuple[str, str]]:
        """The ids and names of the clinic's tags, sorted by the code points of the names."""
        rows = self._uow.rows(self._TAGS, {"clinic_id": clinic_id})
        return sorted(((row.id, row.name) for row in rows), key=lambda tag: (tag[1], tag[0]))

    _PREORDER = Query(
        PreorderRow,
        select(
            XealthPreorder.data_tracking_id,
            XealthPreorder.deployment,
            XealthPreorder.mrn,
            XealthPreorder.email,
            XealthPreorder.connect_abbott,
            XealthPreorder.connect_dexcom,
            XealthPreorder.tag_ids,
            XealthPreorder.used_time,
        ).where(
            XealthPreorder.clinic_id == bindparam("clinic_id"),
            XealthPreorder.data_tracking_id == bindparam("tracking_id"),
        ),
    )

    def find_preorder(self, clinic_id: str, tracking_id: str) -> PreorderRow | None:
        """The stored input of the form with this tracking id."""
        return self._uow.first(self._PREORDER, {"clinic_id": clinic_id, "tracking_id": tracking_id})

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

    def store_preorder(self, clinic_id: str, tracking_id: str, **columns: Any) -> None:
        """Store the input of the form. It replaces an earlier input."""
        key = {"clinic_id": clinic_id, "data_tracking_id": tracking_id}
        times = {"created_time": self._uow.creation_time, "updated_time": self._uow.now}
        self._uow.insert(self._STORE_PREORDER, {**key, **times, "used_time": None, **columns})

    _USE_PREORDER = (
        update(XealthPreorder)
        .where(
            XealthPreorder.clinic_id == bindparam("of_clinic"),
            XealthPreorder.data_tracking_id == bindparam("tracking_id"),
        )
        .values(used_time=bindparam("now"))
    )

    def use_preorder(self, clinic_id: str, tracking_id: str) -> None:
        """Record that an order has created a patient from the input."""
        self._uow.change(self._USE_PREORDER, {"of_clinic": clinic_id, "tracking_id": tracking_id, "now": self._uow.now})

    _ADD_ORDER = insert_into(XealthOrder, *(column.key for column in XealthOrder.__table__.columns))

    def add_order(self, **columns: Any) -> str:
        """Store an event of an order and return the id of its row. `columns` must have all its other columns."""
        order_id = self._uow.new_id()
        self._uow.insert(self._ADD_ORDER, {"id": order_id, "created_time": self._uow.creation_time, **columns})
        return order_id

    _LAST_APPLIED = Query(
        AppliedEvent,
        select(XealthOrder.id, XealthOrder.event_id, XealthOrder.event_context, XealthOrder.event_time)
        .where(
            XealthOrder.clinic_id == bindparam("clinic_id"),
            XealthOrder.deployment == bindparam("deployment"),
            XealthOrder.order_id == bindparam("order_id"),
            XealthOrder.applied_time.is_not(None),
        )
        .order_by(XealthOrder.created_time.desc(), XealthOrder.id.desc())
        .limit(1),
    )

    def find_last_applied(self, clinic_id: str, deployment: str, order_id: str) -> AppliedEvent | None:
        """The last applied event of the order."""
        key = {"clinic_id": clinic_id, "deployment": deployment, "order_id": order_id}
        return self._uow.first(self._LAST_APPLIED, key)

    _LAST_CHANGED_BY = (
        select(EhrSubscription.active)
        .join(MatchedMessage, MATCHES_OF_SUBSCRIPTION)
        .where(
            MatchedMessage.clinic_id == bindparam("clinic_id"),
            MatchedMessage.document_id == bindparam("document_id"),
            MatchedMessage.name == XEALTH_REPORTS.name,
            is_last_match(bindparam("clinic_id")),
        )
    )

    def states_last_changed_by(self, clinic_id: str, document_id: str) -> list[bool]:
        """Whether each of the subscriptions that this event changed last is active."""
        rows = self._uow.rows(self._LAST_CHANGED_BY, {"clinic_id": clinic_id, "document_id": document_id})
        return [bool(row.active) for row in rows]

    _ORDER = Query(
        OrderedProgram,
        select(XealthOrder.program_id, XealthOrder.event_time).where(
            XealthOrder.clinic_id == bindparam("clinic_id"), XealthOrder.id == bindparam("order")
        ),
    )

    def find_order(self, clinic_id: str, order: str) -> OrderedProgram | None:
        """The program and the time of the stored event with the row id `order`."""
        return self._uow.first(self._ORDER, {"clinic_id": clinic_id, "order": order})

    _ADD_VIEW = insert_into(XealthReportView, *(column.key for column in XealthReportView.__table__.columns))

    def add_view(self, **columns: Any) -> None:
        """Record a view of a report."""
        self._uow.insert(self._ADD_VIEW, {"id": self._uow.new_id(), "created_time": self._uow.creation_time, **columns})

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

    def find_last_view(self, **columns: Any) -> datetime | None:
        """When the user `ehr_user_id` last looked at the report of the patient, deployment and program, if ever."""
        row = self._uow.first(self._LAST_VIEW, columns)
        return None if row is None else row.created_time

    _DATES = Query(
        SummaryDates,
        select(Summary.last_data, Summary.last_upload_date, Summary.last_updated_date).where(
            Summary.clinic_id == bindparam("clinic_id"), Summary.patient_id == bindparam("patient_id")
        ),
    )

    def summary_dates(self, clinic_id: str, patient_id: str) -> Sequence[SummaryDates]:
        """The dates of each summary of the patient."""
        return self._uow.rows(self._DATES, {"clinic_id": clinic_id, "patient_id": patient_id})

    _SOURCES = Query(
        SourceRow,
        select(DataSource.provider_name, DataSource.state, DataSource.modified_time)
        .where(DataSource.clinic_id == bindparam("clinic_id"), DataSource.patient_id == bindparam("patient_id"))
        .order_by(DataSource.position),
    )

    def data_sources(self, clinic_id: str, patient_id: str) -> Sequence[SourceRow]:
        """The data sources of the patient, in the order in which they are stored."""
        return self._uow.rows(self._SOURCES, {"clinic_id": clinic_id, "patient_id": patient_id})

    _PERMISSIONS = Query(
        PermissionFlags,
        select(
            Patient.permission_custodian, Patient.permission_view, Patient.permission_upload, Patient.permission_note
        ).where(Patient.clinic_id == bindparam("clinic_id"), Patient.id == bindparam("patient_id")),
    )

    def permissions(self, clinic_id: str, patient_id: str) -> PermissionFlags | None:
        """The permissions that the patient grants to the clinic; None when the clinic has no such patient."""
        return self._uow.first(self._PERMISSIONS, {"clinic_id": clinic_id, "patient_id": patient_id})

    _REPORTED_CLINIC = Query(
        ReportedClinic,
        select(Clinic.ehr_enabled, Clinic.preferred_bg_units, Clinic.timezone).where(
            Clinic.id == bindparam("clinic_id")
        ),
    )

    def find_reported_clinic(self, clinic_id: str) -> ReportedClinic | None:
        """The clinic as a report shows it; None when there is none."""
        return self._uow.first(self._REPORTED_CLINIC, {"clinic_id": clinic_id})

    _REPORTED_PATIENT = Query(
        ReportedPatient,
        select(Patient.id, Patient.full_name, Patient.birth_date, Patient.mrn).where(
            Patient.clinic_id == bindparam("clinic_id"), Patient.user_id == bindparam("user_id")
        ),
    )

    def find_reported_patient(self, clinic_id: str, user_id: str) -> ReportedPatient | None:
        """The clinic's record of the user as a report shows it; None when there is none."""
        return self._uow.first(self._REPORTED_PATIENT, {"clinic_id": clinic_id, "user_id": user_id})
