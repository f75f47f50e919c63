"""The schemas of clinics in requests and responses."""

from __future__ import annotations

from typing import ClassVar

from marshmallow import fields

from clinic_service.models import BgUnits, Tier
from clinic_service.resources.clinics.descriptions import ClinicDescription
from clinic_service.resources.labels.schemas import LabelSchema
from clinic_service.serialization import Computed, WireEnum, WireSchema, WireTime

_TIERS = {
    Tier.FREE: "Free",
    Tier.STANDARD: "Standard",
    Tier.PREMIUM: "Premium",
    Tier.ENTERPRISE: "Enterprise",
}


def _tier_description(clinic: ClinicDescription) -> str:
    return _TIERS[Tier(clinic.tier or Tier.FREE)]


def _can_migrate(clinic: ClinicDescription) -> bool:
    return clinic.can_migrate


class ClinicSchema(WireSchema):
    """`clinic.v1`, from a `ClinicDescription`. From a body it reads only the profile."""

    # Required in responses; a clinic that was created for a legacy account starts without a name and without units.
    when_none: ClassVar[dict[str, str]] = {
        "name": "",
        "preferred_bg_units": BgUnits.MG_DL.value,
        "tier": Tier.FREE.value,
    }

    id = fields.String(dump_only=True)
    name = fields.String()
    address = fields.String()
    city = fields.String()
    postal_code = fields.String()
    state = fields.String()
    country = fields.String()
    website = fields.String()
    phone_numbers = fields.Raw()
    clinic_type = WireEnum()
    clinic_size = WireEnum()
    preferred_bg_units = WireEnum()
    timezone = fields.String()
    share_code = fields.String(dump_only=True)
    can_migrate = Computed(_can_migrate)
    tier = WireEnum(dump_only=True)
    tier_description = Computed(_tier_description)
    patient_tags = fields.List(fields.Nested(LabelSchema), dump_only=True)
    sites = fields.List(fields.Nested(LabelSchema), dump_only=True)
    suppressed_notifications = fields.Raw(dump_only=True)
    created_time = WireTime(dump_only=True)
    updated_time = WireTime(dump_only=True)


clinic_schema = ClinicSchema()
