"""Cases of operations on settings."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import CAROL, SERVICE
from tests.support.rows import make_clinic, make_patient, make_restriction

_EHR = {
    "enabled": True,
    "provider": "redox",
    "sourceId": "7ce6f387-c33c-417d-8682-81e83628cbd9",
    "procedureCodes": {},
    "mrnIdType": "MRN",
    "scheduledReports": {"onUploadEnabled": False, "cadence": "DISABLED"},
    "tags": {},
    "flowsheets": {"icode": False},
}


def update_membership_restrictions(stage: Stage) -> Send:
    clinic = make_clinic(stage.unit)
    make_restriction(stage.unit, clinic, "harbour.example")
    body = {"restrictions": [{"emailDomain": "hilltop.example"}, {"emailDomain": "mail.example"}]}
    return lambda: stage.api.put(f"/v1/clinics/{clinic.id}/membership_restrictions", as_=SERVICE, json=body)


def update_ehr_settings(stage: Stage) -> Send:
    clinic = make_clinic(stage.unit)
    return lambda: stage.api.put(f"/v1/clinics/{clinic.id}/settings/ehr", as_=SERVICE, json=_EHR)


def update_mrn_settings(stage: Stage) -> Send:
    clinic = make_clinic(stage.unit)
    make_patient(stage.unit, clinic, CAROL, mrn="A-1", mrn_key="a-1")
    body = {"required": True, "unique": True}
    return lambda: stage.api.put(f"/v1/clinics/{clinic.id}/settings/mrn", as_=SERVICE, json=body)


def update_patient_count_settings(stage: Stage) -> Send:
    clinic = make_clinic(stage.unit)
    body = {"hardLimit": {"plan": 250}}
    return lambda: stage.api.put(f"/v1/clinics/{clinic.id}/settings/patient_count", as_=SERVICE, json=body)


def refresh_patient_count(stage: Stage) -> Send:
    clinic = make_clinic(stage.unit)
    make_patient(stage.unit, clinic, CAROL)
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/patient_count/refresh", as_=SERVICE)
