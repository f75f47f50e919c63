"""Cases of operations on patients."""

from __future__ import annotations

from clinic_service.models import Clinic, Review
from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, BOB, CAROL, DAVE, SERVICE
from tests.support.rows import (
    LONG_AGO,
    make_account,
    make_clinic,
    make_data_source,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    tag_patient,
)

_PROFILE = {"fullName": "Carol C. Cooper", "birthDate": "1987-04-12", "mrn": "A-2", "email": "carol@harbour.example"}
_SOURCES = [{"providerName": "abbott", "state": "pending"}, {"providerName": "twiist", "state": "error"}]


def create_patient_from_user(stage: Stage) -> Send:
    make_account(stage.unit, CAROL)
    clinic = _particular_clinic(stage)
    tag, site = make_tag(stage.unit, clinic, "Pump"), make_site(stage.unit, clinic, "North Wing")
    body = {
        "mrn": "A-1",
        "permissions": {"custodian": {}},
        "tags": [tag.id],
        "sites": [{"id": site.id, "name": site.name}],
    }
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/patients/{CAROL.id}", as_=SERVICE, json=body)


def create_patient_account(stage: Stage) -> Send:
    clinic = _particular_clinic(stage)
    tag, site = make_tag(stage.unit, clinic, "Pump"), make_site(stage.unit, clinic, "North Wing")
    body = _PROFILE | {"tags": [tag.id], "sites": [{"id": site.id, "name": site.name}], "dataSources": _SOURCES}
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/patients", as_=BOB, json=body)


def update_patient(stage: Stage) -> Send:
    """With a new address, so that the account changes as well."""
    clinic = _particular_clinic(stage)
    path = _carol(stage, "custodian", "view", clinic=clinic)
    site = make_site(stage.unit, clinic, "Annexe")
    body = _PROFILE | {"tags": [], "sites": [{"id": site.id, "name": site.name}], "dataSources": _SOURCES}
    return lambda: stage.api.put(path, as_=BOB, json=body)


def delete_patient(stage: Stage) -> Send:
    path = _carol(stage, "custodian", "view")
    return lambda: stage.api.delete(path, as_=ALICE)


def update_patient_permissions(stage: Stage) -> Send:
    path = _carol(stage, "custodian", "view")
    return lambda: stage.api.put(f"{path}/permissions", as_=CAROL, json={"view": {}, "note": {}})


def delete_patient_permission(stage: Stage) -> Send:
    """The last one, with which the patient leaves."""
    path = _carol(stage, "view")
    return lambda: stage.api.delete(f"{path}/permissions/view", as_=CAROL)


def update_patient_reviews(stage: Stage) -> Send:
    path = _carol(stage)
    return lambda: stage.api.put(f"{path}/reviews", as_=BOB)


def delete_patient_reviews(stage: Stage) -> Send:
    path = _carol(stage)
    return lambda: stage.api.delete(f"{path}/reviews", as_=ALICE)


def send_upload_reminder(stage: Stage) -> Send:
    path = _carol(stage)
    return lambda: stage.api.post(f"{path}/upload_reminder", as_=BOB)


def connect_provider(stage: Stage) -> Send:
    path = _carol(stage)
    return lambda: stage.api.post(f"{path}/connect/dexcom", as_=BOB)


def update_patient_data_sources(stage: Stage) -> Send:
    _carol(stage)
    make_patient(stage.unit, make_clinic(stage.unit), CAROL)
    return lambda: stage.api.put(f"/v1/patients/{CAROL.id}/data_sources", as_=SERVICE, json=_SOURCES)


def _particular_clinic(stage: Stage) -> Clinic:
    """A clinic with a limit of patients that asks for medical record numbers and keeps them unique."""
    limits = {"hardLimit": {"plan": 10}}
    return make_staffed_clinic(stage.unit, mrn_required=True, mrn_unique=True, patient_count_settings=limits)


def _carol(stage: Stage, *permissions: str, clinic: Clinic | None = None) -> str:
    """The path of Carol's record, which has everything a record can have, in a clinic with another patient."""
    unit, clinic = stage.unit, clinic or _particular_clinic(stage)
    make_account(unit, CAROL)
    carol = make_patient(unit, clinic, CAROL, *permissions, mrn="A-1", mrn_key="a-1")
    carol.reviews = [Review(ALICE.id, LONG_AGO), Review(BOB.id, LONG_AGO)]
    tag_patient(unit, carol, make_tag(unit, clinic, "Pump"))
    place_patient(unit, carol, make_site(unit, clinic, "North Wing"))
    make_data_source(unit, carol, "dexcom")
    make_patient(unit, clinic, DAVE)
    return f"/v1/clinics/{clinic.id}/patients/{CAROL.id}"
