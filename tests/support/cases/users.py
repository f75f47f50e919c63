"""Cases of operations on users."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, CAROL, DAVE, SERVICE, Somebody
from tests.support.invites import make_offer, make_pending
from tests.support.rows import (
    make_account,
    make_clinic,
    make_clinician,
    make_grant,
    make_invite,
    make_patient,
    make_staffed_clinic,
)


def update_clinic_user_details(stage: Stage) -> Send:
    person = _person_everywhere(stage)
    body = {"email": "alice@hilltop.example"}
    return lambda: stage.api.post(f"/v1/users/{person.id}/clinics", as_=SERVICE, json=body)


def delete_user_from_clinics(stage: Stage) -> Send:
    person = _person_everywhere(stage)
    return lambda: stage.api.delete(f"/v1/users/{person.id}/clinics", as_=SERVICE)


def _person_everywhere(stage: Stage) -> Somebody:
    """Alice: the only admin of a clinic with patients, a member and a patient elsewhere, with invitations and grants."""
    unit = stage.unit
    make_account(unit, ALICE)
    clinic, other, third = make_staffed_clinic(unit), make_clinic(unit), make_clinic(unit)
    make_patient(unit, clinic, CAROL)
    make_patient(unit, clinic, DAVE, "custodian")
    make_clinician(unit, other, ALICE)
    make_patient(unit, other, ALICE)
    make_pending(unit, third, ALICE)
    make_invite(unit, third, user_id=ALICE.id, email=ALICE.email)
    make_offer(unit, third, ALICE)
    make_grant(unit, ALICE, CAROL)
    make_grant(unit, DAVE, ALICE)
    return ALICE
