"""Cases of operations on clinicians."""

from __future__ import annotations

from clinic_service.app import create_app
from clinic_service.db.ids import new_id
from clinic_service.models import ClinicianRoleUpdate
from tests.conftest import SECRET
from tests.gateways.identity_provider import CLIENT_ID, CLIENT_SECRET, identity_provider
from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, BOB, ERIN, SERVICE
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_staffed_clinic


def create_clinician(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    body = {"id": ERIN.id, "email": ERIN.email, "roles": ["CLINIC_MEMBER"]}
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/clinicians", as_=SERVICE, json=body)


def update_clinician(stage: Stage) -> Send:
    clinic = make_staffed_clinic(stage.unit)
    body = {"email": BOB.email, "name": "Robert Baker", "roles": ["CLINIC_ADMIN"]}
    return lambda: stage.api.put(f"/v1/clinics/{clinic.id}/clinicians/{BOB.id}", as_=ALICE, json=body)


def delete_clinician(stage: Stage) -> Send:
    clinic = make_clinic(stage.unit)
    make_clinician(stage.unit, clinic, ALICE, "CLINIC_ADMIN")
    member = make_clinician(stage.unit, clinic, BOB, "CLINIC_ADMIN")
    change = {"roles": ["CLINIC_ADMIN"], "updated_by": ALICE.id, "time": LONG_AGO}
    stage.unit.session.add(ClinicianRoleUpdate(clinic_id=clinic.id, clinician_id=member.id, id=new_id(), **change))
    return lambda: stage.api.delete(f"/v1/clinics/{clinic.id}/clinicians/{BOB.id}", as_=ALICE)


def add_service_account(stage: Stage) -> Send:
    provider = stage.needs.enter_context(identity_provider())
    url = stage.database.url.render_as_string(hide_password=False)
    config = provider.config(database_url=url, session_secret=SECRET)
    api = Client(create_app(config, stage.database, apis=spec_apis()), SECRET)
    clinic = make_staffed_clinic(stage.unit)
    body = {"name": "Export", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return lambda: api.post(f"/v1/clinics/{clinic.id}/service_accounts", as_=SERVICE, json=body)
