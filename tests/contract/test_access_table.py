"""Who may call what, written down a second time and compared with what the server does.

The table is data of this test: it is not made from the spec, so a slip in an `x-access` list shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from clinic_service.api.operations import find_handlers
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.unit_of_work import UnitOfWork
from tests.conftest import SECRET
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, spec_apis
from tests.support.rows import make_clinic, make_clinician, make_grant, make_invite, make_patient, storing

# Who passes: S a service, A an admin and M a member of the clinic in the path, N the person whose user id stands in
# the path (n: if a member of the clinic), P any person; c a service, if the permission in the path is `custodian`.
# Operations with dashes are for partners, who have secrets of their own.
TABLE = """
ListClinics                        S....  GET    /v1/clinics
CreateClinic                       .AM.P  POST   /v1/clinics
GetClinicByShareCode               SAM.P  GET    /v1/clinics/share_code/{shareCode}
GetClinic                          SAM.P  GET    /v1/clinics/{clinicId}
UpdateClinic                       SA...  PUT    /v1/clinics/{clinicId}
DeleteClinic                       SA...  DELETE /v1/clinics/{clinicId}
ListClinicians                     SAM..  GET    /v1/clinics/{clinicId}/clinicians
CreateClinician                    S....  POST   /v1/clinics/{clinicId}/clinicians
TideReport                         SAM..  GET    /v1/clinics/{clinicId}/tide_report
ListPatients                       SAM..  GET    /v1/clinics/{clinicId}/patients
CreatePatientAccount               SAM..  POST   /v1/clinics/{clinicId}/patients
CreatePatientTag                   SAM..  POST   /v1/clinics/{clinicId}/patient_tags
CreateSite                         SA...  POST   /v1/clinics/{clinicId}/sites
UpdateSite                         SA...  PUT    /v1/clinics/{clinicId}/sites/{siteId}
DeleteSite                         SA...  DELETE /v1/clinics/{clinicId}/sites/{siteId}
MergeSite                          S....  POST   /v1/clinics/{clinicId}/sites/{siteId}/merge
GetClinician                       SAM..  GET    /v1/clinics/{clinicId}/clinicians/{clinicianId}
UpdateClinician                    SA...  PUT    /v1/clinics/{clinicId}/clinicians/{clinicianId}
DeleteClinician                    SA.n.  DELETE /v1/clinics/{clinicId}/clinicians/{clinicianId}
GetPatient                         SAM..  GET    /v1/clinics/{clinicId}/patients/{patientId}
UpdatePatient                      SAM..  PUT    /v1/clinics/{clinicId}/patients/{patientId}
CreatePatientFromUser              S....  POST   /v1/clinics/{clinicId}/patients/{patientId}
DeletePatient                      .A.N.  DELETE /v1/clinics/{clinicId}/patients/{patientId}
UpdatePatientTag                   SAM..  PUT    /v1/clinics/{clinicId}/patient_tags/{patientTagId}
DeletePatientTag                   SA...  DELETE /v1/clinics/{clinicId}/patient_tags/{patientTagId}
ConvertPatientTagToSite            S....  POST   /v1/clinics/{clinicId}/patient_tags/{patientTagId}/site
InviteClinician                    SA...  POST   /v1/clinics/{clinicId}/invites/clinicians
GetClinicianInvite                 SA...  GET    /v1/clinics/{clinicId}/invites/clinicians/{inviteId}
ResendInvite                       SA...  PATCH  /v1/clinics/{clinicId}/invites/clinicians/{inviteId}
DeleteInvite                       SA...  DELETE /v1/clinics/{clinicId}/invites/clinicians/{inviteId}
GetInvitedClinician                S....  GET    /v1/clinics/{clinicId}/invites/clinicians/{inviteId}/clinician
AssociateClinicianToUser           S....  PATCH  /v1/clinics/{clinicId}/invites/clinicians/{inviteId}/clinician
DeleteInvitedClinician             S....  DELETE /v1/clinics/{clinicId}/invites/clinicians/{inviteId}/clinician
GetPatientInvites                  SAM..  GET    /v1/clinics/{clinicId}/invites/patients
AcceptPatientInvitation            SAM..  PUT    /v1/clinics/{clinicId}/invites/patients/{inviteId}
UpdatePatientReviews               .AM..  PUT    /v1/clinics/{clinicId}/patients/{patientId}/reviews
DeletePatientReviews               .AM..  DELETE /v1/clinics/{clinicId}/patients/{patientId}/reviews
UpdatePatientPermissions           ...N.  PUT    /v1/clinics/{clinicId}/patients/{patientId}/permissions
DeletePatientPermission            c..N.  DELETE /v1/clinics/{clinicId}/patients/{patientId}/permissions/{permission}
ListClinicsForPatient              S..N.  GET    /v1/patients/{userId}/clinics
ListClinicianInvites               ...N.  GET    /v1/clinicians/{userId}/invites
AcceptClinicianInvite              ...N.  PUT    /v1/clinicians/{userId}/invites/{inviteId}
DismissClinicianInvite             ...N.  DELETE /v1/clinicians/{userId}/invites/{inviteId}
ListClinicsForClinician            S..N.  GET    /v1/clinicians/{userId}/clinics
ListMigrations                     SAM..  GET    /v1/clinics/{clinicId}/migrations
MigrateLegacyClinicianPatients     S....  POST   /v1/clinics/{clinicId}/migrations
EnableNewClinicExperience          S....  POST   /v1/clinicians/{userId}/migrate
TriggerInitialMigration            .A...  POST   /v1/clinics/{clinicId}/migrate
GetMigration                       SAM..  GET    /v1/clinics/{clinicId}/migrations/{userId}
UpdateMigration                    S....  PATCH  /v1/clinics/{clinicId}/migrations/{userId}
UpdateClinicUserDetails            S....  POST   /v1/users/{userId}/clinics
DeleteUserFromClinics              S....  DELETE /v1/users/{userId}/clinics
ListAllClinicians                  S....  GET    /v1/clinicians
UpdatePatientSummary               S....  POST   /v1/patients/{patientId}/summary
DeletePatientSummary               S....  DELETE /v1/summaries/{summaryId}/clinics
UpdatePatientDataSources           S....  PUT    /v1/patients/{userId}/data_sources
UpdateTier                         S....  POST   /v1/clinics/{clinicId}/tier
UpdateSuppressedNotifications      .A...  POST   /v1/clinics/{clinicId}/suppressed_notifications
SendUploadReminder                 .AM..  POST   /v1/clinics/{clinicId}/patients/{patientId}/upload_reminder
AssignPatientTagToClinicPatients   SA...  POST   /v1/clinics/{clinicId}/patients/assign_tag/{patientTagId}
DeletePatientTagFromClinicPatients SA...  POST   /v1/clinics/{clinicId}/patients/delete_tag/{patientTagId}
ListMembershipRestrictions         SA...  GET    /v1/clinics/{clinicId}/membership_restrictions
UpdateMembershipRestrictions       S....  PUT    /v1/clinics/{clinicId}/membership_restrictions
ProcessEHRMessage                  -----  POST   /v1/redox
VerifyEndpoint                     -----  POST   /v1/redox/verify
GetEHRSettings                     SAM..  GET    /v1/clinics/{clinicId}/settings/ehr
UpdateEHRSettings                  S....  PUT    /v1/clinics/{clinicId}/settings/ehr
MatchClinicAndPatient              S....  POST   /v1/redox/match
GetMRNSettings                     SAM..  GET    /v1/clinics/{clinicId}/settings/mrn
UpdateMRNSettings                  S....  PUT    /v1/clinics/{clinicId}/settings/mrn
GetPatientCountSettings            SAM..  GET    /v1/clinics/{clinicId}/settings/patient_count
UpdatePatientCountSettings         S....  PUT    /v1/clinics/{clinicId}/settings/patient_count
GetPatientCount                    SAM..  GET    /v1/clinics/{clinicId}/patient_count
RefreshPatientCount                S....  POST   /v1/clinics/{clinicId}/patient_count/refresh
SyncEHRData                        S....  POST   /v1/clinics/{clinicId}/ehr/sync
FindPatients                       .AM.P  GET    /v1/patients
XealthPreorder                     -----  POST   /v1/xealth/preorder
XealthGetPrograms                  -----  PUT    /v1/xealth/programs
XealthGetProgramUrl                -----  PUT    /v1/xealth/program
XealthNotification                 -----  POST   /v1/xealth/notification
ViewPDFReport                      -----  GET    /v1/xealth/report/web/viewer.html
AddServiceAccount                  S....  POST   /v1/clinics/{clinicId}/service_accounts
SyncEHRDataForPatient              S....  POST   /v1/patients/{patientId}/ehr/sync
GenerateMergeReport                S....  POST   /v1/clinics/{clinicId}/reports/merge
MergeClinic                        S....  POST   /v1/clinics/{clinicId}/merge
ConnectProvider                    SAM..  POST   /v1/clinics/{clinicId}/patients/{patientId}/connect/{providerId}
InviteClinic                       S..N.  POST   /confirm/send/invite/{userId}/clinic
DeletePatientInvite                SAM..  DELETE /v1/clinics/{clinicId}/invites/patients/{inviteId}
"""


class Row(NamedTuple):
    operation: str
    letters: str
    method: str
    path: str


ROWS = [Row(*line.split()) for line in TABLE.strip().splitlines()]
FOR_CALLERS = [row for row in ROWS if row.letters != "-----"]
FOR_PARTNERS = [row for row in ROWS if row.letters == "-----"]
OPERATIONS = {operation.operation_id: operation for api in spec_apis() for operation in api.operations}
BUILT = set(find_handlers(OPERATIONS.values()))


def assert_passes(reply: Reply, *, allowed: bool, who: str) -> None:
    """Let through means anything but 401 and 403: whether the rest of the request is right is not asked here."""
    if allowed:
        assert reply.status not in (401, 403), f"{who} must pass"
    else:
        assert reply.status == 403, f"{who} must be refused"
        assert_error(reply, 403)


def test_the_table_has_every_operation() -> None:
    others = {"GetGroupsForUser", "GetUsersInGroup", "GetPermissionsForUser", "GrantPermissionsInGroup"}
    assert {row.operation for row in ROWS} | others == set(OPERATIONS)
    for row in ROWS:
        operation = OPERATIONS[row.operation]
        assert (operation.method.upper(), operation.path) == (row.method, row.path)


class Caller(NamedTuple):
    """Somebody, who they are to the rules, and whose user id stands in the path."""

    who: str
    somebody: Somebody
    named: Somebody
    passes: Callable[[str], bool]


CALLERS = [
    Caller("a service", SERVICE, CAROL, lambda letters: "S" in letters),
    Caller("an admin", ALICE, CAROL, lambda letters: "A" in letters or "P" in letters),
    Caller("a member", BOB, CAROL, lambda letters: "M" in letters or "P" in letters),
    Caller("the named person", CAROL, CAROL, lambda letters: "N" in letters or "P" in letters),
    Caller("the named person, a member", BOB, BOB, lambda letters: not {"N", "n", "M", "P"}.isdisjoint(letters)),
    Caller("the named person, an admin", ALICE, ALICE, lambda letters: not {"N", "n", "A", "P"}.isdisjoint(letters)),
    Caller("the named person, only a prescriber", PETE, PETE, lambda letters: "N" in letters or "P" in letters),
    Caller("the named person, admin elsewhere", ERIN, ERIN, lambda letters: "N" in letters or "P" in letters),
    Caller("any person", MALLORY, CAROL, lambda letters: "P" in letters),
    Caller("an admin of another clinic", ERIN, CAROL, lambda letters: "P" in letters),
    Caller("somebody who only prescribes", PETE, CAROL, lambda letters: "P" in letters),
]


def staff(unit: UnitOfWork) -> str:
    """A clinic with an admin, a member, a prescriber and a patient; another clinic with its own admin."""
    clinic, other = make_clinic(unit), make_clinic(unit)
    make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
    make_clinician(unit, clinic, BOB, "CLINIC_MEMBER")
    make_clinician(unit, clinic, PETE, "PRESCRIBER")
    make_clinician(unit, other, ERIN, "CLINIC_ADMIN", "CLINIC_MEMBER")
    make_patient(unit, clinic, CAROL)
    # A pending invitation has no person, and so gives nobody anything.
    make_clinician(unit, clinic, MALLORY, user_id=None, invite_id=f"open invitation of {clinic.id}")
    return clinic.id


def address(row: Row, clinic_id: str, named: Somebody) -> str:
    values = {"clinicId": clinic_id, "patientId": named.id, "userId": named.id, "clinicianId": named.id}
    others = {"permission": "view", "shareCode": "ABCD-EFGH-JKLM", "providerId": "dexcom"}
    return re.sub(r"{(\w+)}", lambda found: (values | others).get(found[1], "5f0c7d1e9a3b4c6d8e2f1a0b"), row.path)


@pytest.mark.parametrize("row", FOR_CALLERS, ids=lambda row: row.operation)
def test_callers(api: Client, database: Database, row: Row) -> None:
    clinic_id = ""
    for caller in CALLERS:
        if not clinic_id:
            with storing(database) as unit:
                clinic_id = staff(unit)
        path = address(row, clinic_id, caller.named)
        reply = api.request(row.method, path, as_=caller.somebody)
        assert_passes(reply, allowed=caller.passes(row.letters), who=caller.who)
        if reply.status < 400:
            clinic_id = ""  # it may have changed who is who


@pytest.mark.parametrize("row", FOR_CALLERS, ids=lambda row: row.operation)
def test_nobody(api: Client, row: Row) -> None:
    assert_error(api.request(row.method, address(row, "5f0c7d1e9a3b4c6d8e2f1a0b", CAROL)), 401)


@pytest.mark.parametrize("row", [row for row in FOR_CALLERS if "{clinicId}" in row.path], ids=lambda row: row.operation)
def test_unknown_and_malformed_clinics_are_told_to_nobody_without_a_relation(api: Client, row: Row) -> None:
    for clinic_id in ("0" * 24, "not-an-id", "%01"):
        replies = {
            who: api.request(row.method, address(row, clinic_id, CAROL), as_=who) for who in (MALLORY, ALICE, SERVICE)
        }
        assert_passes(replies[MALLORY], allowed="P" in row.letters, who="any person")
        assert_passes(replies[ALICE], allowed="P" in row.letters, who="an admin of another clinic")
        assert_passes(replies[SERVICE], allowed="S" in row.letters, who="a service")


@pytest.mark.parametrize(
    ("permission", "service_passes"), [("custodian", True), ("view", False), ("upload", False), ("custodians", False)]
)
def test_services_may_withdraw_custodian_and_nothing_else(api: Client, permission: str, service_passes: bool) -> None:
    path = f"/v1/clinics/{'0' * 24}/patients/{CAROL.id}/permissions/{permission}"
    assert_passes(api.delete(path, as_=SERVICE), allowed=service_passes, who="a service")
    assert_passes(api.delete(path, as_=CAROL), allowed=True, who="the patient")
    assert_passes(api.delete(path, as_=MALLORY), allowed=False, who="any person")


def test_an_invitation_may_be_withdrawn_by_the_one_who_made_it(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic_id = staff(unit)
        clinic = unit.clinics.get(clinic_id)
        mine = make_invite(unit, clinic, type="careteam_invitation", creator_id=CAROL.id).key
    path = f"/v1/clinics/{clinic_id}/invites/patients"
    assert_passes(api.delete(f"{path}/{mine}", as_=DAVE), allowed=False, who="another patient")
    assert_passes(api.delete(f"{path}/{'0' * 24}", as_=CAROL), allowed=False, who="the patient, for an unknown one")
    assert_passes(api.delete(f"{path}/{mine}", as_=CAROL), allowed=True, who="the patient who made it")


def server_for_partners(database: Database, **settings: Any) -> Client:
    """A server on which Xealth is enabled."""
    url = database.url.render_as_string(hide_password=False)
    xealth: dict[str, Any] = {
        "xealth_enabled": True,
        "xealth_bearer_token": "secret of Xealth",
        "xealth_client_id": "clinic",
        "xealth_client_secret": "another secret",
        "application_url": "https://app.example",
    }
    config = Config(database_url=url, session_secret=SECRET, **xealth, **settings)
    return Client(create_app(config, database, apis=spec_apis()), SECRET)


@pytest.fixture(scope="session")
def partners(shared_database: Database) -> Client:
    """A server that shares secrets with its partners."""
    return server_for_partners(shared_database, redox_verification_token="secret of Redox")


class TestPartners:
    REDOX = {"Verification-Token": "secret of Redox"}  # noqa: RUF012
    XEALTH = {"Authorization": "Bearer secret of Xealth"}  # noqa: RUF012

    @pytest.mark.parametrize("row", FOR_PARTNERS, ids=lambda row: row.operation)
    def test_a_session_token_is_no_proof(self, partners: Client, row: Row) -> None:
        for caller in (None, SERVICE, ALICE):
            assert_error(partners.request(row.method, row.path, as_=caller), self._unproven(row))

    @staticmethod
    def _unproven(row: Row) -> int:
        # One proof stands in the query, where it must stand.
        return 400 if row.operation == "ViewPDFReport" else 401

    @pytest.mark.parametrize("row", FOR_PARTNERS, ids=lambda row: row.operation)
    def test_the_own_secret_is(self, partners: Client, row: Row) -> None:
        if row.operation in ("VerifyEndpoint", "ViewPDFReport"):
            pytest.skip("the proof is part of the content, which the operation's own tests know")
        right, wrong = (self.REDOX, self.XEALTH) if row.path.startswith("/v1/redox") else (self.XEALTH, self.REDOX)
        assert partners.request(row.method, row.path, headers=right).status not in (401, 403)
        assert partners.request(row.method, row.path, headers=right, as_=MALLORY).status not in (401, 403)
        assert_error(partners.request(row.method, row.path, headers=wrong), 401)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer secret of Xealt"},
            {"Authorization": "Bearer secret of Xealth "},
            {"Authorization": "Bearer SECRET OF XEALTH"},
            {"Authorization": "Basic secret of Xealth"},
            {"Authorization": "secret of Xealth"},
            {"Verification-Token": ""},
            {"Verification-Token": "secret of Redo"},
            {"Verification-Token": "secret of Redox,secret of Redox"},
            {"Verification-Token": "secret of Red\u00f6x"},
        ],
    )
    def test_nothing_like_it_is(self, partners: Client, headers: dict[str, str]) -> None:
        for method, path in (("POST", "/v1/redox"), ("POST", "/v1/xealth/preorder"), ("PUT", "/v1/xealth/program")):
            assert_error(partners.request(method, path, headers=headers), 401)

    def test_without_a_configured_secret_nobody_passes(self, shared_database: Database) -> None:
        """Xealth cannot be switched on without one."""
        server = server_for_partners(shared_database)
        for row in FOR_PARTNERS:
            if row.path.startswith("/v1/redox"):
                for headers in ({}, self.REDOX, self.XEALTH, {"Verification-Token": "", "Authorization": "Bearer "}):
                    body = {"verification-token": "", "challenge": "x"}
                    assert_error(server.request(row.method, row.path, headers=headers, json=body), 401)

    def test_xealth_is_not_implemented_where_it_is_switched_off(self, api: Client) -> None:
        """Whoever calls is told the same, so that nobody learns whether a secret is right."""
        for row in FOR_PARTNERS:
            if row.path.startswith("/v1/xealth"):
                for headers in ({}, self.XEALTH):
                    assert_error(api.request(row.method, row.path, headers=headers), 501)


# For the four operations on access: Carol shares, Dave is asked about.
ACCESS = {
    "GetGroupsForUser": ("GET", f"/access/groups/{CAROL.id}", {"service", "sharer", "custodian", "clinic"}),
    "GetUsersInGroup": ("GET", f"/access/{CAROL.id}", {"service", "sharer", "custodian", "clinic"}),
    "GetPermissionsForUser": (
        "GET",
        f"/access/{CAROL.id}/{DAVE.id}",
        {"service", "sharer", "user", "custodian", "clinic", "delegate"},
    ),
    # Without a body, which gives the grant up: writing one is not open to everybody here.
    "GrantPermissionsInGroup": (
        "POST",
        f"/access/{CAROL.id}/{DAVE.id}",
        {"service", "sharer", "user", "custodian", "clinic", "delegate"},
    ),
}
ACCESS_CALLERS = {
    "service": SERVICE,
    "sharer": CAROL,
    "user": DAVE,
    "custodian": Somebody("c0570d1a01", "Custodian", ""),
    "delegate": Somebody("de1e6a7e01", "Holder of the older admin permission", ""),
    "clinic": BOB,
    "viewer": Somebody("71e3e40001", "Viewer", ""),
    "custodian of the other": Somebody("c0570d1a02", "Custodian of Dave", ""),
    "the other way round": Somebody("c0570d1a03", "Somebody whose custodian is Carol", ""),
    "prescriber of the clinic": PETE,
    "member of a clinic with view only": ERIN,
    "any person": MALLORY,
}


def grant_access(unit: UnitOfWork) -> None:
    callers = ACCESS_CALLERS
    make_grant(unit, CAROL, callers["custodian"], "custodian")
    make_grant(unit, CAROL, callers["delegate"], "admin")
    make_grant(unit, CAROL, callers["viewer"], "view", "upload", "note", "follow")
    make_grant(unit, DAVE, callers["custodian of the other"], "custodian")
    make_grant(unit, callers["the other way round"], CAROL, "custodian")
    clinic, other = make_clinic(unit), make_clinic(unit)
    make_patient(unit, clinic, CAROL, "custodian", "view")
    make_clinician(unit, clinic, BOB)
    make_clinician(unit, clinic, PETE, "PRESCRIBER")
    make_patient(unit, other, CAROL, "view", "upload", "note")
    make_clinician(unit, other, ERIN, "CLINIC_ADMIN")


@pytest.mark.parametrize("operation", ACCESS)
def test_access_operations(api: Client, database: Database, operation: str) -> None:
    method, path, passing = ACCESS[operation]
    with storing(database) as unit:
        grant_access(unit)
    for who, caller in ACCESS_CALLERS.items():
        assert_passes(api.request(method, path, as_=caller), allowed=who in passing, who=who)
    assert_error(api.request(method, path), 401)


def test_a_patient_is_invited_by_services_the_patient_and_custodians(api: Client, database: Database) -> None:
    with storing(database) as unit:
        grant_access(unit)
    for who, caller in ACCESS_CALLERS.items():
        reply = api.post(f"/confirm/send/invite/{CAROL.id}/clinic", as_=caller)
        assert_passes(reply, allowed=who in {"service", "sharer", "custodian", "clinic"}, who=who)
