"""A clinic, its share codes, and its restrictions on new members."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, Timestamps, partial_index
from clinic_service.db.placement import BY_CLINIC, CLINICS, REFERENCE
from clinic_service.db.types import ExactText, Json, ObjectId, string_enum


class ClinicType(StrEnum):
    """The kinds of organizations that clinics are."""

    PROVIDER_PRACTICE = "provider_practice"
    HEALTHCARE_SYSTEM = "healthcare_system"
    VETERINARY_CLINIC = "veterinary_clinic"
    OTHER = "other"
    RESEARCHER = "researcher"


class ClinicSize(StrEnum):
    """The number of patients of a clinic, as stated by the clinic."""

    UP_TO_249 = "0-249"
    UP_TO_499 = "250-499"
    UP_TO_999 = "500-999"
    FROM_1000 = "1000+"


class BgUnits(StrEnum):
    """The units in which blood glucose is shown."""

    MG_DL = "mg/dL"
    MMOL_L = "mmol/L"


class Tier(StrEnum):
    """The plans that a clinic can have."""

    FREE = "tier0100"
    STANDARD = "tier0200"
    PREMIUM = "tier0300"
    ENTERPRISE = "tier0400"


class EhrProvider(StrEnum):
    """The services that connect clinics with electronic health records."""

    XEALTH = "xealth"
    REDOX = "redox"


class Clinic(Timestamps, Base):
    """The profile and the settings of a clinic. A value that was never given is null."""

    __tablename__ = "clinics"
    placement = CLINICS

    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    name: Mapped[str | None]
    address: Mapped[str | None]
    city: Mapped[str | None]
    postal_code: Mapped[str | None]
    state: Mapped[str | None]
    country: Mapped[str | None]
    website: Mapped[str | None]
    phone_numbers: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    clinic_type: Mapped[ClinicType | None] = mapped_column(string_enum(ClinicType, "clinic_type"))
    clinic_size: Mapped[ClinicSize | None] = mapped_column(string_enum(ClinicSize, "clinic_size"))
    preferred_bg_units: Mapped[BgUnits | None] = mapped_column(string_enum(BgUnits, "preferred_bg_units"))
    timezone: Mapped[str | None]
    # False for a clinic made for a legacy account, until its migration was requested. True for all others.
    is_migrated: Mapped[bool] = mapped_column(default=False)
    tier: Mapped[Tier | None] = mapped_column(string_enum(Tier, "tier"))
    suppressed_notifications: Mapped[dict[str, bool] | None] = mapped_column(Json)
    patient_count_settings: Mapped[dict[str, Any] | None] = mapped_column(Json)
    # Both are null when the settings were never given.
    mrn_required: Mapped[bool | None]
    mrn_unique: Mapped[bool | None]
    # The four columns repeat members of `ehr_settings`, for queries across clinics.
    ehr_provider: Mapped[EhrProvider | None] = mapped_column(string_enum(EhrProvider, "ehr_provider"))
    ehr_source_id: Mapped[str | None]
    ehr_enabled: Mapped[bool] = mapped_column(default=False)
    ehr_on_upload: Mapped[bool] = mapped_column(default=False)
    ehr_settings: Mapped[dict[str, Any] | None] = mapped_column(Json)

    __table_args__ = (
        Index(None, "created_time"),
        Index(None, "ehr_provider", "ehr_enabled"),
        Index(None, "ehr_source_id"),
    )


class DemoClinic(Base):
    """Marks a clinic that the demo commands made, so that they can tell it from clinics of real users."""

    __tablename__ = "demo_clinics"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)


class ShareCode(Base):
    """A code by which a clinic can be found. It is unique across clinics, so the code is the primary key.

    There is no foreign key to the clinic: when a database distributes clinics over machines, such rows are on other
    machines than the clinic. So a separate statement deletes them with the clinic.
    """

    __tablename__ = "share_codes"
    placement = REFERENCE

    code: Mapped[str] = mapped_column(ExactText(14), primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ObjectId)
    # The code that is shown. A clinic gets further codes by a merge of clinics.
    canonical: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        Index(None, "clinic_id"),
        partial_index("ix_share_codes_canonical", "clinic_id", unique=True, where="canonical"),
    )


class MembershipRestriction(Base):
    """A restriction of a clinic on the e-mail address, and optionally the identity provider, of new members."""

    __tablename__ = "membership_restrictions"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    email_domain: Mapped[str]
    required_idp: Mapped[str | None]

    clinic: Mapped[Clinic] = relationship(lazy="raise")
