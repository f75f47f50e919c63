"""A day's work with the Python clients that openapi-python-client generates; `test_generated_clients.py` runs it.

Every answer is decoded, and what was decoded is written as JSON again and compared with what was on the wire.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from http import HTTPStatus
from typing import Any, TypeVar

from access_api_client import AuthenticatedClient as AccessClient
from access_api_client.api.access import (
    get_groups_for_user,
    get_permissions_for_user,
    get_users_in_group,
    grant_permissions_in_group,
)
from access_api_client.models import (
    EffectivepermissionsV1Type0,
    GrouppermissionsV1,
    ModifyuserpermissionsV1Type0,
    PermissionV1,
    UserpermissionsV1,
)
from clinics_api_client import AuthenticatedClient as ClinicsClient
from clinics_api_client.api.clinicians import get_clinician, list_clinicians, list_clinics_for_clinician
from clinics_api_client.api.clinics import create_clinic, get_clinic, get_clinic_by_share_code, update_clinic
from clinics_api_client.api.invites import (
    accept_clinician_invite,
    accept_patient_invitation,
    get_patient_invites,
    invite_clinic,
    invite_clinician,
    list_clinician_invites,
)
from clinics_api_client.api.patients import (
    create_patient_account,
    delete_patient_permission,
    find_patients,
    get_patient,
    list_clinics_for_patient,
    list_patients,
    tide_report,
    update_patient,
    update_patient_permissions,
    update_patient_reviews,
)
from clinics_api_client.api.settings import get_patient_count, list_membership_restrictions
from clinics_api_client.api.sites import create_site, update_site
from clinics_api_client.api.tags import create_patient_tag, update_patient_tag
from clinics_api_client.models import (
    AcceptPatientInvitation,
    BgUnitsV1,
    ClinicianRolesV1Item,
    ClinicianV1,
    ClinicInputV1,
    ClinicTimezoneV1,
    ClinicV1,
    ConfirmationV1,
    DeletePatientPermissionPermission,
    DiagnosisTypeV1,
    InviteClinicianV1,
    InviteClinicV1,
    MembershipRestrictionsV1,
    PatientCountV1,
    PatientInputV1,
    PatientPermissionsV1,
    PatientPermissionsV1Note,
    PatientPermissionsV1View,
    PatientsResponseV1,
    PatientTagInputV1,
    PatientTagV1,
    PatientV1,
    SiteCreationV1,
    SiteInputV1,
    SiteOfPatientV1,
    SiteV1,
    TideResponseV1,
)

BASE_URL, DEMO_CLINIC = os.environ["BASE_URL"], os.environ["DEMO_CLINIC"]
CAROL, OLGA = os.environ["CAROL_ID"], os.environ["OLGA_ID"]
HEADER = "x-tidepool-session-token"
TIME = re.compile(r"\d{4}-\d\d-\d\dT.*")
calls = 0
Result = TypeVar("Result")


def clinics(name: str) -> ClinicsClient:
    return ClinicsClient(base_url=BASE_URL, token=os.environ[name], prefix="", auth_header_name=HEADER)


def access(name: str) -> AccessClient:
    return AccessClient(base_url=BASE_URL, token=os.environ[name], prefix="", auth_header_name=HEADER)


def plain(value: Any) -> Any:
    """JSON in which a moment is written in one way."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return datetime.datetime.fromisoformat(value) if isinstance(value, str) and TIME.fullmatch(value) else value


def encoded(value: Any) -> Any:
    return [encoded(item) for item in value] if isinstance(value, list) else value.to_dict()


def done(response: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
    global calls  # noqa: PLW0603
    assert response.status_code == status, (response.status_code, response.content)
    calls += 1


def decoded(response: Any, expected: type[Result]) -> Result:
    """The decoded answer, which holds all that was on the wire."""
    done(response)
    assert isinstance(response.parsed, expected), response
    assert plain(encoded(response.parsed)) == plain(json.loads(response.content))
    return response.parsed


def found_clinic(ada: ClinicsClient, olga: ClinicsClient) -> ClinicV1:
    """A new clinic, with a second clinician who was invited and has accepted."""
    body = ClinicInputV1(name="Hilltop Diabetes Centre", preferred_bg_units=BgUnitsV1.MGDL, country="GB")
    made = decoded(create_clinic.sync_detailed(client=ada, body=body), ClinicV1)
    shown = decoded(get_clinic.sync_detailed(made.id, client=ada), ClinicV1)
    # An answer can be changed and sent back.
    changed = ClinicInputV1.from_dict(shown.to_dict())
    changed.city, changed.timezone = "Leeds", ClinicTimezoneV1.ETC_GMT_PLUS_1
    changed_clinic = decoded(update_clinic.sync_detailed(made.id, client=ada, body=changed), ClinicV1)
    assert (changed_clinic.city, changed_clinic.timezone) == ("Leeds", ClinicTimezoneV1.ETC_GMT_PLUS_1)
    decoded(get_clinic_by_share_code.sync_detailed(made.share_code, client=olga), ClinicV1)
    invite = InviteClinicianV1(email="olga@mail.example", roles=[ClinicianRolesV1Item.CLINIC_MEMBER])
    decoded(invite_clinician.sync_detailed(made.id, client=ada, body=invite), ClinicianV1)
    pending = decoded(list_clinicians.sync_detailed(made.id, client=ada, limit=100), list)
    assert {one.email for one in pending} == {"ada@harbour.example", "olga@mail.example"}
    [invitation] = decoded(list_clinician_invites.sync_detailed(OLGA, client=olga), list)
    done(accept_clinician_invite.sync_detailed(OLGA, invitation.key, client=olga))
    decoded(get_clinician.sync_detailed(made.id, OLGA, client=ada), ClinicianV1)
    memberships = decoded(list_clinics_for_clinician.sync_detailed(OLGA, client=olga), list)
    assert made.id in {one.clinic.id for one in memberships}
    return made


def enrol(ada: ClinicsClient, clinic: ClinicV1) -> None:
    """A patient with a tag and a site, found again by both."""
    tag_body, site_body = PatientTagInputV1(name="Pumpe"), SiteCreationV1(name="North")
    tag = decoded(create_patient_tag.sync_detailed(clinic.id, client=ada, body=tag_body), PatientTagV1)
    tag_body.name = "Pumpé"
    tag = decoded(update_patient_tag.sync_detailed(clinic.id, tag.id, client=ada, body=tag_body), PatientTagV1)
    site = decoded(create_site.sync_detailed(clinic.id, client=ada, body=site_body), SiteV1)
    renamed = SiteInputV1(name="North Wing")
    site = decoded(update_site.sync_detailed(clinic.id, site.id, client=ada, body=renamed), SiteV1)
    body = PatientInputV1(
        full_name="Erin Ellis",
        birth_date=datetime.date(2001, 5, 9),
        email="erin@mail.example",
        mrn="E-1",
        tags=[tag.id],
        sites=[SiteOfPatientV1(site.id, site.name)],
        diagnosis_type=DiagnosisTypeV1.TYPE1,
    )
    erin = decoded(create_patient_account.sync_detailed(clinic.id, client=ada, body=body), PatientV1)
    shown = decoded(get_patient.sync_detailed(clinic.id, erin.id, client=ada), PatientV1)
    changed = PatientInputV1.from_dict(shown.to_dict())
    changed.mrn, changed.diagnosis_type = "E-2", DiagnosisTypeV1.EMPTY
    decoded(update_patient.sync_detailed(clinic.id, erin.id, client=ada, body=changed), PatientV1)
    decoded(update_patient_reviews.sync_detailed(clinic.id, erin.id, client=ada), list)
    listed = list_patients.sync_detailed(
        clinic.id,
        client=ada,
        search="erin",
        tags=[tag.id],
        sites=[site.id],
        sort="-fullName",
        sort_type="cgm",
        limit=20,
    )
    answer = decoded(listed, PatientsResponseV1)
    assert isinstance(answer.data, list)
    [one] = answer.data
    assert (one.id, one.tags, one.sites) == (erin.id, [tag.id], [SiteOfPatientV1(site.id, "North Wing")])
    decoded(find_patients.sync_detailed(client=ada, mrn="E-2"), list)


def read_the_demo(ada: ClinicsClient) -> None:
    """The clinic with statistics of many patients."""
    page = decoded(list_patients.sync_detailed(DEMO_CLINIC, client=ada, limit=100, offset=0), PatientsResponseV1)
    assert any(one.summary for one in page.data or [])
    low = list_patients.sync_detailed(
        DEMO_CLINIC, client=ada, period="14d", sort_type="cgm", cgm_time_in_low_percent=">0.01"
    )
    decoded(low, PatientsResponseV1)
    tags = decoded(get_clinic.sync_detailed(DEMO_CLINIC, client=ada), ClinicV1).patient_tags or []
    since = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    report = tide_report.sync_detailed(DEMO_CLINIC, client=ada, period="14d", tags=[tags[0].id], last_data_cutoff=since)
    decoded(report, TideResponseV1)
    decoded(list_clinicians.sync_detailed(DEMO_CLINIC, client=ada), list)
    decoded(get_patient_count.sync_detailed(DEMO_CLINIC, client=ada), PatientCountV1)
    decoded(list_membership_restrictions.sync_detailed(DEMO_CLINIC, client=ada), MembershipRestrictionsV1)


def offer_and_accept(ada: ClinicsClient, carol: ClinicsClient, clinic: ClinicV1) -> None:
    """A patient offers a clinic access, which it accepts; she narrows it down again."""
    rights = PatientPermissionsV1(view=PatientPermissionsV1View(), note=PatientPermissionsV1Note())
    offer = InviteClinicV1(share_code=clinic.share_code, permissions=rights)
    decoded(invite_clinic.sync_detailed(CAROL, client=carol, body=offer), ConfirmationV1)
    [invitation] = decoded(get_patient_invites.sync_detailed(clinic.id, client=ada), list)
    body = AcceptPatientInvitation(mrn="C-1")
    accepted = accept_patient_invitation.sync_detailed(clinic.id, invitation.key, client=ada, body=body)
    decoded(accepted, PatientV1)
    view = PatientPermissionsV1(view=PatientPermissionsV1View())
    left = update_patient_permissions.sync_detailed(clinic.id, CAROL, client=carol, body=view)
    assert decoded(left, PatientPermissionsV1).to_dict() == {"view": {}}
    relations = decoded(list_clinics_for_patient.sync_detailed(CAROL, client=carol), list)
    assert clinic.id in {one.clinic.id for one in relations}
    permission = DeletePatientPermissionPermission.VIEW
    done(delete_patient_permission.sync_detailed(clinic.id, CAROL, permission, client=carol), HTTPStatus.NO_CONTENT)


def grant_and_revoke(carol: AccessClient) -> None:
    """No permission is lost on its way through the generated classes."""
    grant = ModifyuserpermissionsV1Type0(view=PermissionV1(), follow=PermissionV1())
    granted = grant_permissions_in_group.sync_detailed(CAROL, OLGA, client=carol, body=grant)
    assert decoded(granted, EffectivepermissionsV1Type0).to_dict() == {"view": {}, "follow": {}}
    held = decoded(get_permissions_for_user.sync_detailed(CAROL, OLGA, client=carol), UserpermissionsV1)
    assert isinstance(held.follow, PermissionV1)
    assert held.to_dict() == {"view": {}, "follow": {}}
    group = decoded(get_users_in_group.sync_detailed(CAROL, client=carol), GrouppermissionsV1)
    assert group[OLGA].to_dict() == {"view": {}, "follow": {}}
    decoded(get_groups_for_user.sync_detailed(CAROL, client=carol), GrouppermissionsV1)
    nothing = ModifyuserpermissionsV1Type0()
    revoked = grant_permissions_in_group.sync_detailed(CAROL, OLGA, client=carol, body=nothing)
    done(revoked)
    assert revoked.parsed is None
    done(get_permissions_for_user.sync_detailed(CAROL, OLGA, client=carol), HTTPStatus.NOT_FOUND)


ada, olga, carol = clinics("ADA"), clinics("OLGA"), clinics("CAROL")
made = found_clinic(ada, olga)
enrol(ada, made)
read_the_demo(ada)
offer_and_accept(ada, carol, made)
grant_and_revoke(access("CAROL"))
print(f"{calls} calls")  # noqa: T201
