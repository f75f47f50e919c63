"""Cases of operations on migrations."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, BOB, SERVICE
from tests.support.rows import (
    COMPLETE_CLINIC,
    make_account,
    make_clinic,
    make_clinician,
    make_migration,
    make_staffed_clinic,
)


def enable_new_clinic_experience(stage: Stage) -> Send:
    make_account(stage.unit, ALICE, "clinic")
    return lambda: stage.api.post(f"/v1/clinicians/{ALICE.id}/migrate", as_=SERVICE)


def trigger_initial_migration(stage: Stage) -> Send:
    make_account(stage.unit, ALICE, "clinic")
    clinic = make_clinic(stage.unit, is_migrated=False, **COMPLETE_CLINIC)
    make_clinician(stage.unit, clinic, ALICE, "CLINIC_ADMIN")
    body = {"attestationSubmitted": True}
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/migrate", as_=ALICE, json=body)


def migrate_legacy_clinician_patients(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json={"userId": BOB.id})


def update_migration(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    make_migration(stage.unit, clinic, ALICE)
    path = f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}"
    return lambda: stage.api.patch(path, as_=SERVICE, json={"status": "RUNNING"})
