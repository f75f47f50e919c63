"""The schemas of invitations in requests and responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from clinic_service.gateways.accounts import Profile
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.models import InviteType
from clinic_service.resources.invites.descriptions import InviteDescription
from clinic_service.resources.patients.schemas import CreatePatientSchema
from clinic_service.serialization import Computed, WireEnum, WireSchema, WireTime

# The published spec does not allow a shorter address in a confirmation, although other operations can store one.
_SHORTEST_SHOWN_EMAIL = 6


def _email(invite: InviteDescription) -> str | None:
    email = invite.email or ""
    return email if len(email) >= _SHORTEST_SHOWN_EMAIL else None


def _creator_id(invite: InviteDescription) -> str | None:
    # The creator can be a service, which has a name and no user id. Clients expect a user id.
    return invite.creator_id if is_user_id(invite.creator_id) else None


def _creator(invite: InviteDescription) -> dict[str, Any]:
    by_clinic = invite.type == InviteType.CLINICIAN
    members = {
        "userid": _creator_id(invite),
        # An invitation from a clinic does not reveal whether its creator is also a patient.
        "profile": {
            "fullName": invite.creator.full_name or "",
            "patient": {} if by_clinic else _patient(invite.creator),
        },
        "clinicId": invite.clinic_id if by_clinic else None,
        "clinicName": invite.clinic_name or None if by_clinic else None,
    }
    return _known(members)


def _patient(profile: Profile) -> dict[str, Any]:
    members = {
        "fullName": profile.patient_full_name,
        "birthday": profile.birthday,
        "diagnosisDate": profile.diagnosis_date,
        "isOtherPerson": profile.is_other_person,
    }
    return _known(members)


def _known(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _restrictions(invite: InviteDescription) -> dict[str, Any] | None:
    verdict = invite.verdict
    if verdict is None:
        return None
    required = {"requiredIdp": verdict.required_idp} if verdict.required_idp else {}
    return {"canAccept": verdict.can_accept} | required


class ConfirmationSchema(WireSchema):
    """`confirmation.v1`, from an `InviteDescription`."""

    key = fields.String()
    type = WireEnum()
    status = WireEnum()
    email = Computed(_email)
    creator_id = Computed(_creator_id)
    creator = Computed(_creator)
    context = fields.Raw()
    restrictions = Computed(_restrictions)
    created = WireTime()
    modified = WireTime()
    expires_at = WireTime()


confirmation_schema = ConfirmationSchema()
# The body of AcceptPatientInvitation: what a clinic says about its new patient, without members that it may not set.
acceptance_schema = CreatePatientSchema(exclude=("permissions", "is_migrated", "legacy_clinician_id"))
