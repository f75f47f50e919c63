"""The schemas of clinicians in requests and responses."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from marshmallow import fields

from clinic_service.models import Clinician, Role
from clinic_service.resources.clinicians.listing import ClinicianRow
from clinic_service.resources.clinics.descriptions import ClinicDescription
from clinic_service.resources.clinics.schemas import ClinicSchema
from clinic_service.serialization import Computed, WireSchema, WireTime

_ROLE_LISTS = {
    (admin, member, prescriber): [
        role.value for role, held in zip(Role, (admin, member, prescriber), strict=True) if held
    ]
    for admin in (False, True)
    for member in (False, True)
    for prescriber in (False, True)
}


def _roles(row: ClinicianRow | Clinician) -> list[str]:
    return _ROLE_LISTS[row.is_admin, row.is_member, row.is_prescriber]


class ClinicianSchema(WireSchema):
    """`clinician.v1`. The id on the wire is the user id; the row's own id is internal."""

    # Required in responses; empty for a service account and for a person without an address.
    when_none: ClassVar[dict[str, str]] = {"email": ""}

    id = fields.String(attribute="user_id")
    invite_id = fields.String()
    email = fields.String()
    name = fields.String()
    roles = Computed(_roles)
    created_time = WireTime(dump_only=True)
    updated_time = WireTime(dump_only=True)


class ClinicianClinicRelationship(NamedTuple):
    """A clinician and the clinic of the clinician."""

    clinician: ClinicianRow
    clinic: ClinicDescription


class MembershipSchema(WireSchema):
    """`clinicianClinicRelationship.v1`, from a `ClinicianClinicRelationship`."""

    clinician = fields.Nested(ClinicianSchema, dump_only=True)
    clinic = fields.Nested(ClinicSchema, dump_only=True)


clinician_schema = ClinicianSchema()
membership_schema = MembershipSchema()
