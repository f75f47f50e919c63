"""Cases of operations on invitations."""

from __future__ import annotations

from clinic_service import clock
from clinic_service.models import Clinic
from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, BOB, CAROL, ERIN, SERVICE
from tests.support.invites import WEEK, make_offer, make_pending
from tests.support.rows import LONG_AGO, make_account, make_site, make_staffed_clinic, make_tag, share_code


def invite_clinician(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    body = {"email": ERIN.email, "roles": ["CLINIC_MEMBER"]}
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/invites/clinicians", as_=ALICE, json=body)


def resend_invite(stage: Stage) -> Send:
    path = _pending(stage)
    return lambda: stage.api.patch(path, as_=ALICE)


def delete_invite(stage: Stage) -> Send:
    path = _pending(stage)
    return lambda: stage.api.delete(path, as_=ALICE)


def associate_clinician_to_user(stage: Stage) -> Send:
    path = _pending(stage)
    return lambda: stage.api.patch(f"{path}/clinician", as_=SERVICE, json={"userId": ERIN.id})


def delete_invited_clinician(stage: Stage) -> Send:
    path = _pending(stage)
    return lambda: stage.api.delete(f"{path}/clinician", as_=SERVICE)


def list_clinician_invites(stage: Stage) -> Send:
    _pending(stage)
    return lambda: stage.api.get(f"/v1/clinicians/{ERIN.id}/invites", as_=ERIN)


def accept_clinician_invite(stage: Stage) -> Send:
    key = _pending(stage).rpartition("/")[2]
    return lambda: stage.api.put(f"/v1/clinicians/{ERIN.id}/invites/{key}", as_=ERIN)


def dismiss_clinician_invite(stage: Stage) -> Send:
    key = _pending(stage).rpartition("/")[2]
    return lambda: stage.api.delete(f"/v1/clinicians/{ERIN.id}/invites/{key}", as_=ERIN)


def invite_clinic(stage: Stage) -> Send:
    clinic = _awaiting_carol(stage)
    make_offer(stage.unit, clinic, CAROL, expires_at=LONG_AGO)
    body = {"shareCode": share_code(clinic.id), "permissions": {"view": {}}}
    return lambda: stage.api.post(f"/confirm/send/invite/{CAROL.id}/clinic", as_=CAROL, json=body)


def accept_patient_invitation(stage: Stage) -> Send:
    clinic = _awaiting_carol(stage)
    tag, site = make_tag(stage.unit, clinic, "Pump"), make_site(stage.unit, clinic, "North Wing")
    key = make_offer(stage.unit, clinic, CAROL, expires_at=clock.now() + WEEK)
    body = {"mrn": "A-1", "tags": [tag.id], "sites": [{"id": site.id, "name": site.name}]}
    return lambda: stage.api.put(f"/v1/clinics/{clinic.id}/invites/patients/{key}", as_=BOB, json=body)


def delete_patient_invite(stage: Stage) -> Send:
    clinic = _awaiting_carol(stage)
    key = make_offer(stage.unit, clinic, CAROL, expires_at=clock.now() + WEEK)
    return lambda: stage.api.delete(f"/v1/clinics/{clinic.id}/invites/patients/{key}", as_=CAROL)


def _pending(stage: Stage) -> str:
    """The path of an invitation of a clinic to Erin."""
    make_account(stage.unit, ERIN)
    clinic = make_staffed_clinic(stage.unit)
    key = make_pending(stage.unit, clinic, ERIN)
    return f"/v1/clinics/{clinic.id}/invites/clinicians/{key}"


def _awaiting_carol(stage: Stage) -> Clinic:
    """A clinic that takes care of medical record numbers, and Carol's account."""
    make_account(stage.unit, CAROL)
    return make_staffed_clinic(stage.unit, mrn_required=True, mrn_unique=True)
