"""The events. Their names are in the past tense. Their payloads have the member names that consumers expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar

from clinic_service.texts import camel_case

# The name in mails for the author of a change of roles who has no name: a service, or a person without a profile.
UNNAMED_ADMINISTRATOR = "Clinic administrator"
# The names in mails for a clinic and for a patient without a name, used within a sentence.
UNNAMED_CLINIC = "your clinic"
UNNAMED_PATIENT = "the patient"
# The name in mails for the target of a merge when it has no name.
UNNAMED_OTHER_CLINIC = "another clinic"
# The data providers that patients can be asked to connect, and their names in mails.
PROVIDER_NAMES = {"abbott": "Abbott", "dexcom": "Dexcom", "twiist": "twiist"}
# The pages of the application that mails link to.
LOG_IN_PATH = "login"
SIGN_UP_PATH = "signup/clinician"


def _variable(name: str) -> Any:
    """A field that mail templates use by `name`."""
    return field(metadata={"name": name})


class _Payload:
    """Makes the payload from the fields of an event, with names in camel case: `clinic_id` becomes `clinicId`."""

    is_notice: ClassVar[bool] = False

    def to_payload(self) -> Mapping[str, Any]:
        """The event as a JSON object."""
        members = _members(type(self))  # type: ignore[arg-type]  # mypy takes the class for one that has no hash
        return {member: getattr(self, name) for name, member in members}


class _Notice(_Payload):
    """An event that tells other programs what changed. It contains only ids and names of fields, and is never delivered."""

    is_notice: ClassVar[bool] = True


@cache
def _members(event: type[Any]) -> list[tuple[str, str]]:
    """The fields of an event, and their names in the payload."""
    return [(f.name, f.metadata.get("name") or camel_case(f.name)) for f in fields(event)]


@dataclass(frozen=True)
class ClinicCreated(_Payload):
    """A person created a clinic with a name. Mail to that person, who is its first admin."""

    kind: ClassVar[str] = "clinic_created"
    clinic_id: str
    user_id: str
    clinic_name: str = _variable("ClinicName")


@dataclass(frozen=True)
class ClinicDeleted(_Notice):
    """A clinic was deleted, and all access through it."""

    kind: ClassVar[str] = "clinic_deleted"
    clinic_id: str


@dataclass(frozen=True)
class ClinicMerged(_Notice):
    """All patients and clinicians of `source_clinic_id` were moved to the clinic, and the source was deleted."""

    kind: ClassVar[str] = "clinic_merged"
    clinic_id: str
    source_clinic_id: str


@dataclass(frozen=True)
class _MergeNotification(_Payload):
    """Notifies one user of a merge. A merge has very many of these events, so other events do not wait for them."""

    clinic_id: ClassVar[None] = None
    user_id: str
    source_clinic_id: str
    target_clinic_id: str
    source_clinic_name: str = _variable("SourceClinicName")
    target_clinic_name: str = _variable("TargetClinicName")


@dataclass(frozen=True)
class PatientClinicMerged(_MergeNotification):
    """The clinic of a patient became part of another one. Mail to the patient."""

    kind: ClassVar[str] = "clinic_merged_patient_notification"


@dataclass(frozen=True)
class SourceClinicianMerged(_MergeNotification):
    """The clinic of a clinician became part of another one. Mail to the clinician."""

    kind: ClassVar[str] = "clinic_merged_source_clinician_notification"


@dataclass(frozen=True)
class TargetAdminMerged(_MergeNotification):
    """Another clinic became part of the clinic of an admin. Mail to the admin."""

    kind: ClassVar[str] = "clinic_merged_target_admin_notification"


@dataclass(frozen=True)
class ClinicianAdded(_Notice):
    """A user became a clinician of a clinic. Consumers update marketing data and copies of access data."""

    kind: ClassVar[str] = "clinician_added"
    clinic_id: str
    user_id: str


@dataclass(frozen=True)
class ClinicianRemoved(_Notice):
    """A user is no longer a clinician of a clinic. Consumers update marketing data and copies of access data."""

    kind: ClassVar[str] = "clinician_removed"
    clinic_id: str
    user_id: str


@dataclass(frozen=True)
class ClinicianPermissionsUpdated(_Payload):
    """The roles of the clinician `user_id` changed. Mail to this clinician. `clinician_name` changed the roles."""

    kind: ClassVar[str] = "clinician_permissions_updated"
    clinic_id: str
    user_id: str
    clinic_name: str = _variable("ClinicName")
    clinician_name: str = _variable("ClinicianName")


@dataclass(frozen=True)
class ClinicianInvited(_Payload):
    """A clinic invites the person with the address `email`. Mail to that address.

    `creator_name` is the name of the person who invites. `web_path` is the page of the application for the answer.
    """

    kind: ClassVar[str] = "clinician_invitation"
    clinic_id: str
    clinic_name: str = _variable("ClinicName")
    creator_name: str = _variable("CreatorName")
    email: str = _variable("Email")
    web_path: str = _variable("WebPath")


@dataclass(frozen=True)
class AccessOffered(_Payload):
    """The patient `sharer_id` offers a clinic access to their data. Mail to the admin `user_id`.

    `careteam_name` is the patient's name. `web_path` is the page of the application for the answer.
    """

    kind: ClassVar[str] = "patient_clinic_invitation"
    clinic_id: str
    user_id: str
    sharer_id: str
    clinic_name: str = _variable("ClinicName")
    careteam_name: str = _variable("CareteamName")
    web_path: str = _variable("WebPath")


@dataclass(frozen=True)
class MigrationRequested(_Notice):
    """A worker is to copy the patients of the legacy clinician `user_id` into the clinic."""

    kind: ClassVar[str] = "migration_requested"
    clinic_id: str
    user_id: str


@dataclass(frozen=True)
class PatientAdded(_Notice):
    """A clinic has a new patient.

    For a `custodial` account, consumers update the profile to match the record, and ask the patient, in the name of
    `invited_by`, to claim the account. For others, they send the data sources of the user. In both cases they send the
    summaries. `is_migrated`: the patient already knows the clinic and gets no mail.
    """

    kind: ClassVar[str] = "patient_added"
    clinic_id: str
    user_id: str
    custodial: bool = False
    is_migrated: bool = False
    invited_by: str | None = None


@dataclass(frozen=True)
class PatientChanged(_Notice):
    """Fields of a patient's record have new values. `changed` has their names in the API, at least one."""

    kind: ClassVar[str] = "patient_changed"
    clinic_id: str
    user_id: str
    changed: tuple[str, ...]
    custodial: bool = False

    def __post_init__(self) -> None:
        if not self.changed:
            raise ValueError("PatientChanged needs at least one changed field.")


@dataclass(frozen=True)
class PatientRemoved(_Notice):
    """A patient left a clinic. For a `custodial` account, consumers may have to remove the account or its address."""

    kind: ClassVar[str] = "patient_removed"
    clinic_id: str
    user_id: str
    custodial: bool = False


@dataclass(frozen=True)
class UploadReminded(_Payload):
    """A clinic reminds a patient to upload data. Mail to the patient."""

    kind: ClassVar[str] = "patient_upload_reminder"
    clinic_id: str
    user_id: str
    clinic_name: str = _variable("ClinicName")
    patient_name: str = _variable("PatientName")


class ConnectionAction(StrEnum):
    """The action that a patient is asked to take at a data provider."""

    CONNECT = "connect"
    # To connect; for patients whose accounts the clinic manages.
    CONNECT_CUSTODIAL = "connect_custodial"
    RECONNECT = "reconnect"


@dataclass(frozen=True)
class ConnectionRequested(_Payload):
    """A clinic asks a patient to connect an account with a data provider. Mail to the patient.

    The kind of the event contains the provider and the action: `request_dexcom_reconnect`.
    """

    clinic_id: str
    user_id: str
    provider_id: str
    action: ConnectionAction
    clinic_name: str = _variable("ClinicName")
    patient_name: str = _variable("PatientName")
    provider_name: str = _variable("ProviderName")

    @property
    def kind(self) -> str:
        """The kind of this event."""
        return self.kind_of(self.provider_id, self.action)

    @staticmethod
    def kind_of(provider_id: str, action: ConnectionAction) -> str:
        """The kind of the events for this provider and action."""
        return f"request_{provider_id}_{action}"


@dataclass(frozen=True)
class AccountOrphaned(_Payload):
    """An account was created for a patient of a clinic whose record was not stored. The account must be removed."""

    kind: ClassVar[str] = "account_orphaned"
    # The event has no clinic, so it is not ordered with other events, and they do not wait for it.
    clinic_id: ClassVar[None] = None
    custodian_id: str
    user_id: str


@dataclass(frozen=True)
class AccountUnconfirmed(_Payload):
    """The directory was asked to create an account for a patient of the clinic, and it is not known whether it did.

    An account with the address `email` that was created for the clinic at about the time `since` must be removed.
    """

    kind: ClassVar[str] = "account_unconfirmed"
    # Without a clinic, so that events of the clinic do not wait for it.
    clinic_id: ClassVar[None] = None
    custodian_id: str
    email: str
    since: str


@dataclass(frozen=True)
class AddressDiverged(_Payload):
    """A custodial account of a patient may have another address than the record of the clinic that manages it.

    The account must get the address of the record.
    """

    kind: ClassVar[str] = "address_diverged"
    # Without a clinic, so that events of the clinic do not wait for it.
    clinic_id: ClassVar[None] = None
    custodian_id: str
    user_id: str


@dataclass(frozen=True)
class AccessChanged(_Notice):
    """The direct grant of the sharer to the grantee was changed or removed."""

    kind: ClassVar[str] = "access_changed"
    # The event has no clinic, so it is not ordered with other events.
    clinic_id: ClassVar[None] = None
    sharer_id: str
    grantee_id: str


@dataclass(frozen=True)
class EhrMessageReceived(_Payload):
    """A message of a health record system was stored and is to be processed. Its clinic is not known yet."""

    kind: ClassVar[str] = "ehr_message_received"
    clinic_id: ClassVar[None] = None
    message_id: str


@dataclass(frozen=True)
class EhrReportScheduled(_Payload):
    """A report of the patient `user_id` of the clinic `owner_id` is to be made and sent to its health record system."""

    kind: ClassVar[str] = "ehr_report_scheduled"
    # Not ordered with other events of the clinic, because they must not wait for reports.
    clinic_id: ClassVar[None] = None
    user_id: str
    order_id: str
    owner_id: str = _variable("clinicId")


def _kinds_below(base: type[Any]) -> Iterator[str]:
    for event in base.__subclasses__():
        # The kind of some events is a property, and a base of others has none.
        if isinstance(getattr(event, "kind", None), str):
            yield event.kind
        yield from _kinds_below(event)


# The kinds of notices.
NOTICES = frozenset(_kinds_below(_Notice))
# The kinds of all events.
KINDS = frozenset(_kinds_below(_Payload)) | {
    ConnectionRequested.kind_of(provider, action) for provider in PROVIDER_NAMES for action in ConnectionAction
}
