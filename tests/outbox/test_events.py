"""Events, and the payloads that consumers get."""

from __future__ import annotations

import inspect

import pytest

from clinic_service.outbox import events
from clinic_service.outbox.deliveries import MAILS
from clinic_service.outbox.outbox import Event

CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"
ALL_KINDS = {
    "access_changed",
    "account_orphaned",
    "account_unconfirmed",
    "address_diverged",
    "clinic_created",
    "clinic_deleted",
    "clinic_merged",
    "clinic_merged_patient_notification",
    "clinic_merged_source_clinician_notification",
    "clinic_merged_target_admin_notification",
    "clinician_added",
    "clinician_invitation",
    "clinician_permissions_updated",
    "clinician_removed",
    "ehr_message_received",
    "ehr_report_scheduled",
    "migration_requested",
    "patient_added",
    "patient_changed",
    "patient_clinic_invitation",
    "patient_removed",
    "patient_upload_reminder",
    *(
        f"request_{provider}_{action}"
        for provider in ("abbott", "dexcom", "twiist")
        for action in ("connect", "connect_custodial", "reconnect")
    ),
}


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (
            events.ClinicCreated(CLINIC_ID, "a11ce00001", "Harbour"),
            {"clinicId": CLINIC_ID, "userId": "a11ce00001", "ClinicName": "Harbour"},
        ),
        (
            events.ClinicianPermissionsUpdated(CLINIC_ID, "b0b0000002", "Harbour", "Alice Archer"),
            {
                "clinicId": CLINIC_ID,
                "userId": "b0b0000002",
                "ClinicName": "Harbour",
                "ClinicianName": "Alice Archer",
            },
        ),
        (
            events.ClinicianInvited(CLINIC_ID, "Harbour", "Alice Archer", "erin@hilltop.example", events.SIGN_UP_PATH),
            {
                "clinicId": CLINIC_ID,
                "ClinicName": "Harbour",
                "CreatorName": "Alice Archer",
                "Email": "erin@hilltop.example",
                "WebPath": "signup/clinician",
            },
        ),
        (
            events.AccessOffered(CLINIC_ID, "a11ce00001", "ca401c0003", "Harbour", "Carol Cooper", events.LOG_IN_PATH),
            {
                "clinicId": CLINIC_ID,
                "userId": "a11ce00001",
                "sharerId": "ca401c0003",
                "ClinicName": "Harbour",
                "CareteamName": "Carol Cooper",
                "WebPath": "login",
            },
        ),
        (
            events.PatientAdded(CLINIC_ID, "ca401c0003", custodial=True, invited_by="a11ce00001"),
            {
                "clinicId": CLINIC_ID,
                "userId": "ca401c0003",
                "custodial": True,
                "isMigrated": False,
                "invitedBy": "a11ce00001",
            },
        ),
        (
            events.PatientChanged(CLINIC_ID, "ca401c0003", ("email", "mrn")),
            {"clinicId": CLINIC_ID, "userId": "ca401c0003", "changed": ("email", "mrn"), "custodial": False},
        ),
        (
            events.UploadReminded(CLINIC_ID, "ca401c0003", "Harbour", "Carol Cooper"),
            {
                "clinicId": CLINIC_ID,
                "userId": "ca401c0003",
                "ClinicName": "Harbour",
                "PatientName": "Carol Cooper",
            },
        ),
        (
            events.ConnectionRequested(
                CLINIC_ID, "ca401c0003", "twiist", events.ConnectionAction.CONNECT, "Harbour", "Carol Cooper", "twiist"
            ),
            {
                "clinicId": CLINIC_ID,
                "userId": "ca401c0003",
                "providerId": "twiist",
                "action": "connect",
                "ClinicName": "Harbour",
                "PatientName": "Carol Cooper",
                "ProviderName": "twiist",
            },
        ),
        (
            events.PatientClinicMerged("ca401c0003", "5f0c7d1e9a3b4c6d8e2f1a0b", CLINIC_ID, "Hilltop", "Harbour"),
            {
                "userId": "ca401c0003",
                "sourceClinicId": "5f0c7d1e9a3b4c6d8e2f1a0b",
                "targetClinicId": CLINIC_ID,
                "SourceClinicName": "Hilltop",
                "TargetClinicName": "Harbour",
            },
        ),
        (
            events.AccessChanged("ca401c0003", "b0b0000002"),
            {"sharerId": "ca401c0003", "granteeId": "b0b0000002"},
        ),
        (events.EhrMessageReceived("65f1c0de0a1b2c3d4e5f6c01"), {"messageId": "65f1c0de0a1b2c3d4e5f6c01"}),
        (
            events.EhrReportScheduled("ca401c0003", "65f1c0de0a1b2c3d4e5f6c02", CLINIC_ID),
            {"clinicId": CLINIC_ID, "userId": "ca401c0003", "orderId": "65f1c0de0a1b2c3d4e5f6c02"},
        ),
    ],
)
def test_payload_has_the_names_consumers_know(event: Event, payload: dict[str, object]) -> None:
    assert event.to_payload() == payload


def test_change_of_nothing_is_no_event() -> None:
    with pytest.raises(ValueError, match="at least one changed field"):
        events.PatientChanged(CLINIC_ID, "ca401c0003", ())


def test_every_event_has_a_kind_of_its_own() -> None:
    classes = [kind for _, kind in inspect.getmembers(events, inspect.isclass) if hasattr(kind, "kind")]
    # Requests have one for each provider and action, which only the event itself tells.
    kinds = [event.kind for event in classes if event is not events.ConnectionRequested]
    requests = [
        events.ConnectionRequested(CLINIC_ID, "ca401c0003", provider, action, "Harbour", "Carol", name).kind
        for provider, name in events.PROVIDER_NAMES.items()
        for action in events.ConnectionAction
    ]
    assert sorted([*kinds, *requests]) == sorted(ALL_KINDS)
    assert ALL_KINDS > MAILS
