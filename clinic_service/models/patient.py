"""A patient of a clinic: what the clinic knows about a user, and the permissions that the user grants to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, event, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import DERIVED, Base, Timestamps, partial_index
from clinic_service.db.dialects import insert_or_add
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ExactText, Json, ObjectId, UserId, string_enum
from clinic_service.models.clinic import Clinic
from clinic_service.models.sort_keys import match_key, name_key, search_text

_STANDARD_PRESET = "adaStandard"


class Permission(StrEnum):
    """The permissions that a patient can grant to a clinic, in the order in which they are listed."""

    CUSTODIAN = "custodian"
    VIEW = "view"
    UPLOAD = "upload"
    NOTE = "note"


class DiagnosisType(StrEnum):
    """The types of diabetes, and other diagnoses."""

    TYPE_1 = "type1"
    TYPE_2 = "type2"
    TYPE_3C = "type3c"
    GESTATIONAL = "gestational"
    PREDIABETES = "prediabetes"
    LADA = "lada"
    MODY = "mody"
    OTHER = "other"
    NOT_APPLICABLE = "notApplicable"


class DataSourceState(StrEnum):
    """The states of a connection to a provider of data."""

    PENDING = "pending"
    PENDING_RECONNECT = "pendingReconnect"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ERROR = "error"


class Review(NamedTuple):
    """A review of the data of a patient by a clinician."""

    clinician_id: str
    time: datetime


class Patient(Timestamps, Base):
    """The record that a clinic has of a user."""

    __tablename__ = "patients"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    user_id: Mapped[str] = mapped_column(UserId)
    full_name: Mapped[str | None]
    # YYYY-MM-DD, compared and sorted as text.
    birth_date: Mapped[str | None] = mapped_column(ExactText(10))
    email: Mapped[str | None]
    mrn: Mapped[str | None]
    # Two MRNs with equal keys are the same MRN.
    mrn_key: Mapped[str | None] = mapped_column(ExactText())
    # True when the row was last written while the clinic required unique MRNs. Only such rows are compared with each other.
    require_unique_mrn: Mapped[bool] = mapped_column(default=False)
    target_devices: Mapped[list[str] | None] = mapped_column(Json)
    # False when permissions were never given, which is shown differently from an empty set.
    has_permissions: Mapped[bool] = mapped_column(default=False)
    permission_custodian: Mapped[bool] = mapped_column(default=False)
    permission_view: Mapped[bool] = mapped_column(default=False)
    permission_upload: Mapped[bool] = mapped_column(default=False)
    permission_note: Mapped[bool] = mapped_column(default=False)
    is_migrated: Mapped[bool] = mapped_column(default=False)
    legacy_clinician_ids: Mapped[list[str] | None] = mapped_column(Json)
    invited_by: Mapped[str | None]
    last_upload_reminder_time: Mapped[datetime | None]
    # The two latest reviews, the newest first.
    review_1_clinician_id: Mapped[str | None]
    review_1_time: Mapped[datetime | None]
    review_2_clinician_id: Mapped[str | None]
    review_2_time: Mapped[datetime | None]
    last_requested_dexcom_connect_time: Mapped[datetime | None]
    glycemic_ranges: Mapped[dict[str, Any] | None] = mapped_column(Json)
    diagnosis_type: Mapped[DiagnosisType | None] = mapped_column(string_enum(DiagnosisType, "diagnosis_type"))
    # By provider name, newest first.
    connection_requests: Mapped[dict[str, list[dict[str, Any]]] | None] = mapped_column(Json)
    # False when a list was never given, which is shown differently from an empty list.
    data_sources_set: Mapped[bool] = mapped_column(default=False)
    # Computed from the columns above at every write, for sorts, searches and filters.
    name_key: Mapped[bytes] = mapped_column(default=b"", info=DERIVED, server_default="")
    search_text: Mapped[str] = mapped_column(default="", info=DERIVED, server_default="")
    has_standard_ranges: Mapped[bool] = mapped_column(default=True, info=DERIVED, server_default=true())

    # The keys by which the patients of messages from health record systems are found.
    mrn_match_key: Mapped[bytes | None] = mapped_column(info=DERIVED)
    name_match_key: Mapped[bytes | None] = mapped_column(info=DERIVED)

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (
        UniqueConstraint("clinic_id", "user_id"),
        Index(None, "clinic_id", "mrn_key"),
        Index(None, "clinic_id", "name_key", "id"),
        Index(None, "clinic_id", "birth_date", "id"),
        Index(None, "clinic_id", "review_1_time", "id"),
        Index(None, "clinic_id", "has_standard_ranges", "id"),
        partial_index(
            "ix_patients_unique_mrn",
            "clinic_id",
            "mrn_key",
            unique=True,
            where="require_unique_mrn AND mrn_key IS NOT NULL",
        ),
        # The conditions of these indexes keep the planner from using them for queries that do not match messages.
        partial_index("ix_patients_match_mrn", "clinic_id", "mrn_match_key", where="mrn_match_key IS NOT NULL"),
        partial_index(
            "ix_patients_match_name", "clinic_id", "birth_date", "name_match_key", where="name_match_key IS NOT NULL"
        ),
    )

    @property
    def is_custodial(self) -> bool:
        """Whether the clinic manages the account because the patient has not claimed it."""
        return self.permission_custodian

    @property
    def permissions(self) -> dict[Permission, dict[str, Any]] | None:
        """The granted permissions, each with an empty object; None when they were never given."""
        if not self.has_permissions:
            return None
        granted = {
            Permission.CUSTODIAN: self.permission_custodian,
            Permission.VIEW: self.permission_view,
            Permission.UPLOAD: self.permission_upload,
            Permission.NOTE: self.permission_note,
        }
        return {permission: {} for permission in Permission if granted[permission]}

    @permissions.setter
    def permissions(self, names: Iterable[str] | None) -> None:
        """Set the permissions; None when they were never given. Raises ValueError for a name that is not a permission."""
        given = {Permission(name) for name in names or ()}
        self.has_permissions = names is not None
        self.permission_custodian = Permission.CUSTODIAN in given
        self.permission_view = Permission.VIEW in given
        self.permission_upload = Permission.UPLOAD in given
        self.permission_note = Permission.NOTE in given

    @property
    def reviews(self) -> list[Review]:
        """The latest reviews, at most two, newest first."""
        kept = [
            (self.review_1_clinician_id, self.review_1_time),
            (self.review_2_clinician_id, self.review_2_time),
        ]
        return [Review(clinician, time) for clinician, time in kept if clinician is not None and time is not None]

    @reviews.setter
    def reviews(self, reviews: Iterable[Review]) -> None:
        """Set the first two of `reviews`, which are ordered from the newest to the oldest."""
        first, second = [*reviews, None, None][:2]
        self.review_1_clinician_id, self.review_1_time = first or (None, None)
        self.review_2_clinician_id, self.review_2_time = second or (None, None)


class PatientCount(Base):
    """The number of patients of a clinic, which every list shows. A clinic without a row has no patients.

    Code that stores or removes patients changes it with `ADD_TO_COUNT`, in the same transaction.
    """

    __tablename__ = "patient_counts"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    patients: Mapped[int]

    clinic: Mapped[Clinic] = relationship(lazy="raise")


# Adds a number, which may be negative, to the count. The parameters are the columns.
ADD_TO_COUNT = insert_or_add(PatientCount, "patients")


class Keyed(Protocol):
    """The columns from which others are computed: a record, or a row of these columns."""

    @property
    def full_name(self) -> str | None: ...
    @property
    def email(self) -> str | None: ...
    @property
    def mrn(self) -> str | None: ...
    @property
    def birth_date(self) -> str | None: ...
    @property
    def glycemic_ranges(self) -> dict[str, Any] | None: ...


def keys_of(patient: Keyed) -> dict[str, Any]:
    """The columns of `patient`, an entity or a row, that are computed from its other columns."""
    ranges = patient.glycemic_ranges
    return {
        "name_key": name_key(patient.full_name),
        "search_text": search_text(patient.full_name, patient.email, patient.mrn, patient.birth_date),
        "has_standard_ranges": ranges is None or ranges.get("preset") == _STANDARD_PRESET,
        "mrn_match_key": match_key(patient.mrn),
        "name_match_key": match_key(patient.full_name),
    }


@event.listens_for(Patient, "before_insert")
@event.listens_for(Patient, "before_update")
def _set_keys(_mapper: object, _connection: object, patient: Patient) -> None:
    for name, value in keys_of(patient).items():
        setattr(patient, name, value)


class DataSource(Base):
    """A provider from which data of the patient comes, or is to come. The list is ordered by `position`."""

    __tablename__ = "data_sources"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    provider_name: Mapped[str] = mapped_column(ExactText())
    state: Mapped[DataSourceState] = mapped_column(string_enum(DataSourceState, "state"))
    data_source_id: Mapped[str | None] = mapped_column(ObjectId)
    modified_time: Mapped[datetime | None]
    expiration_time: Mapped[datetime | None]
    latest_data_time: Mapped[datetime | None]

    patient: Mapped[Patient] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
        Index(None, "clinic_id", "provider_name", "state", "patient_id"),
    )
