"""A clinic, the codes it is shared by, and who may become a member."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, Timestamps, partial_index
from clinic_service.db.types import ExactText, Json, ObjectId, string_enum


class ClinicType(StrEnum):
    PROVIDER_PRACTICE = "provider_practice"
    HEALTHCARE_SYSTEM = "healthcare_system"
    VETERINARY_CLINIC = "veterinary_clinic"
    OTHER = "other"
    RESEARCHER = "researcher"


class ClinicSize(StrEnum):
    UP_TO_249 = "0-249"
    UP_TO_499 = "250-499"
    UP_TO_999 = "500-999"
    FROM_1000 = "1000+"


class BgUnits(StrEnum):
    MG_DL = "mg/dL"
    MMOL_L = "mmol/L"


class Tier(StrEnum):
    FREE = "tier0100"
    STANDARD = "tier0200"
    PREMIUM = "tier0300"
    ENTERPRISE = "tier0400"


class EhrProvider(StrEnum):
    XEALTH = "xealth"
    REDOX = "redox"


class Clinic(Timestamps, Base):
    """A clinic's profile and settings. Whatever was never given is null."""

    __tablename__ = "clinics"

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
    # False until the patients of a legacy account have been asked for; true from the start for clinics made new.
    is_migrated: Mapped[bool] = mapped_column(default=False)
    tier: Mapped[Tier | None] = mapped_column(string_enum(Tier, "tier"))
    suppressed_notifications: Mapped[dict[str, bool] | None] = mapped_column(Json)
    patient_count_settings: Mapped[dict[str, Any] | None] = mapped_column(Json)
    # Both null: never configured.
    mrn_required: Mapped[bool | None]
    mrn_unique: Mapped[bool | None]
    # The four columns repeat what questions across clinics look for inside `ehr_settings`.
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
    """Marks a clinic that the demo commands made, so that they can tell it from those of real users."""

    __tablename__ = "demo_clinics"

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)


class ShareCode(Base):
    """A code that leads to a clinic; unique across clinics, hence keyed by the code.

    Rows keyed by such a fact are not placed with the clinic when a database spreads clinics over machines, so they
    cannot refer to it by a foreign key: deleting a clinic deletes them by a statement of its own.
    """

    __tablename__ = "share_codes"

    code: Mapped[str] = mapped_column(ExactText(14), primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ObjectId)
    # The one that is shown; a clinic gains further codes by merging.
    canonical: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        Index(None, "clinic_id"),
        partial_index("ix_share_codes_canonical", "clinic_id", unique=True, where="canonical"),
    )


class MembershipRestriction(Base):
    """One of a clinic's conditions on the e-mail address, and perhaps the identity provider, of new members."""

    __tablename__ = "membership_restrictions"

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    email_domain: Mapped[str]
    required_idp: Mapped[str | None]

    clinic: Mapped[Clinic] = relationship(lazy="raise")
