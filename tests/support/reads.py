"""Reads: for every operation that only reads, rows to start from and one request that is allowed.

Together with the cases of those that write, these are requests of all operations.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from clinic_service import clock
from clinic_service.api.plan import may_write
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.specification.apis import Operation
from tests.api.ehr.report_pages import view
from tests.support.cases import Case, Send, Stage, find_case
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, SERVICE
from tests.support.client import Reply
from tests.support.ehr import SETTINGS
from tests.support.invites import make_offer, make_pending
from tests.support.rows import (
    make_account,
    make_grant,
    make_migration,
    make_patient,
    make_restriction,
    make_staffed_clinic,
    share_code,
)
from tests.support.xealth_site import make_enrolled_patient, make_xealth_clinic, xealth_site

_TAG_ID = "65f1c0de0a1b2c3d4e5f6a7b"


def request_of(operation: Operation) -> Case:
    """A request of the operation that is allowed."""
    is_read = operation.method == "get" and not may_write(operation)
    return READS[operation.operation_id] if is_read else find_case(operation)


READS: dict[str, Case] = {}


def _read(operation_id: str, path: str, as_: Any = SERVICE) -> None:
    """A read of what is stored by `_everybody`; `{clinic}`, `{invite}` and `{offer}` stand for ids in it."""

    def case(stage: Stage) -> Send:
        ids = _everybody(stage)
        return lambda: stage.api.get(path.format(**ids), as_=as_)

    READS[operation_id] = case


def _everybody(stage: Stage) -> dict[str, str]:
    unit = stage.unit
    clinic = make_staffed_clinic(unit, ehr_settings=SETTINGS, mrn_required=True, mrn_unique=False)
    for person in (CAROL, DAVE):
        make_account(unit, person)
        make_patient(unit, clinic, person, "view", mrn="A-1", mrn_key="a-1")
    make_migration(unit, clinic, ALICE)
    make_restriction(unit, clinic, "harbour.example")
    make_grant(unit, CAROL, DAVE, "view")
    offer = make_offer(unit, clinic, CAROL, "view", expires_at=clock.now() + timedelta(days=1))
    invite = make_pending(unit, clinic, ERIN)
    return {"clinic": clinic.id, "offer": offer, "invite": invite, "share_code": share_code(clinic.id)}


def _view_pdf_report(stage: Stage) -> Send:
    clinic = make_xealth_clinic(stage.unit)
    patient = make_enrolled_patient(stage.unit, clinic, CAROL)
    site = stage.needs.enter_context(xealth_site(stage.database))

    def send() -> Reply:
        answer = view(site, patient, EmbeddedRestrictedTokens(stage.database).create(CAROL.id).id)
        return Reply(answer.status, None, answer.headers, b"")

    return send


READS["ViewPDFReport"] = _view_pdf_report
_CLINIC = "/v1/clinics/{clinic}"
_read("ListClinics", "/v1/clinics")
_read("GetClinicByShareCode", "/v1/clinics/share_code/{share_code}")
_read("GetClinic", _CLINIC)
_read("ListClinicians", f"{_CLINIC}/clinicians")
_read("GetClinician", f"{_CLINIC}/clinicians/{BOB.id}")
_read("ListAllClinicians", "/v1/clinicians")
_read("ListClinicsForClinician", f"/v1/clinicians/{ALICE.id}/clinics")
_read("TideReport", f"{_CLINIC}/tide_report?period=14d&tags={_TAG_ID}&lastDataCutoff=2026-01-01T00:00:00Z")
_read("ListPatients", f"{_CLINIC}/patients", as_=BOB)
_read("GetPatient", f"{_CLINIC}/patients/{CAROL.id}", as_=BOB)
_read("ListClinicsForPatient", f"/v1/patients/{CAROL.id}/clinics", as_=CAROL)
_read("FindPatients", "/v1/patients?mrn=A-1", as_=BOB)
_read("GetPatientInvites", f"{_CLINIC}/invites/patients", as_=BOB)
_read("GetClinicianInvite", f"{_CLINIC}/invites/clinicians/{{invite}}", as_=ALICE)
_read("GetInvitedClinician", f"{_CLINIC}/invites/clinicians/{{invite}}/clinician")
_read("ListMigrations", f"{_CLINIC}/migrations")
_read("GetMigration", f"{_CLINIC}/migrations/{ALICE.id}")
_read("ListMembershipRestrictions", f"{_CLINIC}/membership_restrictions")
_read("GetEHRSettings", f"{_CLINIC}/settings/ehr")
_read("GetMRNSettings", f"{_CLINIC}/settings/mrn")
_read("GetPatientCountSettings", f"{_CLINIC}/settings/patient_count")
_read("GetPatientCount", f"{_CLINIC}/patient_count")
_read("GetGroupsForUser", f"/access/groups/{DAVE.id}")
_read("GetUsersInGroup", f"/access/{CAROL.id}")
_read("GetPermissionsForUser", f"/access/{CAROL.id}/{DAVE.id}")
