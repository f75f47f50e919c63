"""Cases of operations on clinics."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, ERIN, SERVICE
from tests.support.invites import make_pending
from tests.support.rows import (
    make_account,
    make_migration,
    make_restriction,
    make_site,
    make_staffed_clinic,
    make_tag,
)

_PROFILE = {"name": "Hilltop", "preferredBgUnits": "mmol/L"}


def create_clinic(stage: Stage) -> Send:
    make_account(stage.unit, ALICE)
    return lambda: stage.api.post("/v1/clinics", as_=ALICE, json=_PROFILE)


def update_clinic(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    return lambda: stage.api.put(f"/v1/clinics/{clinic.id}", as_=ALICE, json=_PROFILE)


def delete_clinic(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    make_tag(stage.unit, clinic, "Pump")
    make_site(stage.unit, clinic, "North Wing")
    make_restriction(stage.unit, clinic, "harbour.example")
    make_migration(stage.unit, clinic, ALICE)
    make_pending(stage.unit, clinic, ERIN)
    return lambda: stage.api.delete(f"/v1/clinics/{clinic.id}", as_=ALICE)


def update_tier(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/tier", as_=SERVICE, json={"tier": "tier0300"})


def update_suppressed_notifications(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    body = {"suppressedNotifications": {"patientClinicInvitation": True}}
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/suppressed_notifications", as_=ALICE, json=body)
