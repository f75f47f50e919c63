"""What can happen. An event is named in the past tense, and its payload has the names that consumers know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar

# How a mail speaks of someone who changed a role and has no name: a service, or a person without a profile.
UNNAMED_ADMINISTRATOR = "Clinic administrator"
# How mails speak of a clinic and of a patient without a name, in the middle of a sentence.
UNNAMED_CLINIC = "your clinic"
UNNAMED_PATIENT = "the patient"
# How a mail speaks of the clinic that took over another one, if it has no name.
UNNAMED_OTHER_CLINIC = "another clinic"
# The providers of data that patients can be asked to connect, and how mails speak of them.
PROVIDER_NAMES = {"abbott": "Abbott", "dexcom": "Dexcom", "twiist": "twiist"}
# Pages of the application that mails lead to.
LOG_IN_PATH = "login"
SIGN_UP_PATH = "signup/clinician"


def _variable(name: str) -> Any:
    """A field that mail templates use by `name`."""
    return field(metadata={"name": name})


class _Payload:
    """Makes the payload from the fields of an event, which are spelled as on the wire: `clinic_id` is `clinicId`."""

    def to_payload(self) -> Mapping[str, Any]:
        """The event as a JSON object."""
        return {f.metadata.get("name") or _camel_case(f.name): getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@dataclass(frozen=True)
class ClinicCreated(_Payload):
    """A person made a clinic that has a name. Mail to that person, who is its first administrator."""

    kind: ClassVar[str] = "clinic_created"
    clinic_id: str
    user_id: str
    clinic_name: str = _variable("ClinicName")


@dataclass(frozen=True)
class ClinicDeleted(_Payload):
    """A clinic is gone, and all access through it."""

    kind: ClassVar[str] = "clinic_deleted"
    clinic_id: str


@dataclass(frozen=True)
class ClinicMerged(_Payload):
    """The clinic took over all patients and clinicians of `source_clinic_id`, which is gone."""

    kind: ClassVar[str] = "clinic_merged"
    clinic_id: str
    source_clinic_id: str


@dataclass(frozen=True)
class _MergeNotification(_Payload):
    """Tells one user of the merge of two clinics. A merge tells very many, so no event waits for such a mail."""

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
    """Another clinic became part of the clinic of an administrator. Mail to the administrator."""

    kind: ClassVar[str] = "clinic_merged_target_admin_notification"


@dataclass(frozen=True)
class ClinicianAdded(_Payload):
    """A user became a clinician of a clinic: marketing data and views of access are to be refreshed."""

    kind: ClassVar[str] = "clinician_added"
    clinic_id: str
    user_id: str


@dataclass(frozen=True)
class ClinicianRemoved(_Payload):
    """A user is no longer a clinician of a clinic: marketing data and views of access are to be refreshed."""

    kind: ClassVar[str] = "clinician_removed"
    clinic_id: str
    user_id: str


@dataclass(frozen=True)
class ClinicianPermissionsUpdated(_Payload):
    """The roles of the clinician `user_id` changed. Mail to them; `clinician_name` is who changed the roles."""

    kind: ClassVar[str] = "clinician_permissions_updated"
    clinic_id: str
    user_id: str
    clinic_name: str = _variable("ClinicName")
    clinician_name: str = _variable("ClinicianName")


@dataclass(frozen=True)
class ClinicianInvited(_Payload):
    """A clinic invites the person with the address `email`. Mail to that address.

    `creator_name` is who invites, and `web_path` the page of the application where the invitation is answered.
    """

    kind: ClassVar[str] = "clinician_invitation"
    clinic_id: str
    clinic_name: str = _variable("ClinicName")
    creator_name: str = _variable("CreatorName")
    email: str = _variable("Email")
    web_path: str = _variable("WebPath")


@dataclass(frozen=True)
class AccessOffered(_Payload):
    """A patient offers a clinic access to their data. Mail to the administrator `user_id`.

    `careteam_name` is the patient, and `web_path` the page of the application where the offer is answered.
    """

    kind: ClassVar[str] = "patient_clinic_invitation"
    clinic_id: str
    user_id: str
    clinic_name: str = _variable("ClinicName")
    careteam_name: str = _variable("CareteamName")
    web_path: str = _variable("WebPath")


@dataclass(frozen=True)
class MigrationRequested(_Payload):
    """The patients of the legacy clinician `user_id` are to be copied into the clinic, by a worker."""

    kind: ClassVar[str] = "migration_requested"
    clinic_id: str
    user_id: str


@dataclass(frozen=True)
class PatientAdded(_Payload):
    """A clinic has a new patient.

    `custodial`: the profile is to be brought in line with the record, and the patient to be asked to claim the
    account in the name of `invited_by`. Otherwise the user's data sources are to be sent. Summaries are to be sent in
    both cases. `is_migrated`: the patient knows the clinic already and gets no mail.
    """

    kind: ClassVar[str] = "patient_added"
    clinic_id: str
    user_id: str
    custodial: bool = False
    is_migrated: bool = False
    invited_by: str | None = None


@dataclass(frozen=True)
class PatientChanged(_Payload):
    """Fields of a patient's record have new values. `changed` names them as the API does, and is never empty."""

    kind: ClassVar[str] = "patient_changed"
    clinic_id: str
    user_id: str
    changed: tuple[str, ...]
    custodial: bool = False

    def __post_init__(self) -> None:
        if not self.changed:
            raise ValueError("Nothing changed, so there is nothing to tell.")


@dataclass(frozen=True)
class PatientRemoved(_Payload):
    """A patient left a clinic. `custodial`: the account, or its address, may have to go as well."""

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
    """What a patient is asked to do about a provider of data."""

    CONNECT = "connect"
    # As the former, by someone whose account the clinic manages.
    CONNECT_CUSTODIAL = "connect_custodial"
    RECONNECT = "reconnect"


@dataclass(frozen=True)
class ConnectionRequested(_Payload):
    """A clinic asks a patient to connect an account with a provider of data. Mail to the patient.

    The kind of the event tells the provider and the action: `request_dexcom_reconnect`.
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
        return self.kind_of(self.provider_id, self.action)

    @staticmethod
    def kind_of(provider_id: str, action: ConnectionAction) -> str:
        """The kind of the requests to do that about the provider."""
        return f"request_{provider_id}_{action}"


@dataclass(frozen=True)
class AccountLeftOver(_Payload):
    """An account was made for a patient who was not recorded after all. It is to be removed."""

    kind: ClassVar[str] = "account_left_over"
    # Not a matter of any clinic, hence in no order with other events.
    clinic_id: ClassVar[None] = None
    user_id: str


@dataclass(frozen=True)
class AccountUnconfirmed(_Payload):
    """The directory was asked to make an account for a patient of the clinic, and whether it did is not known here.

    An account that has the address `email` and was made for the clinic at the time `since` is to be removed.
    """

    kind: ClassVar[str] = "account_unconfirmed"
    # In no order with other events of the clinic, which need not wait for it.
    clinic_id: ClassVar[None] = None
    custodian_id: str
    email: str
    since: str


@dataclass(frozen=True)
class AddressUnsettled(_Payload):
    """A patient's account may have another address than the record of the clinic that manages it; it is to get that one."""

    kind: ClassVar[str] = "address_unsettled"
    # In no order with other events of the clinic, which need not wait for it.
    clinic_id: ClassVar[None] = None
    custodian_id: str
    user_id: str


@dataclass(frozen=True)
class AccessChanged(_Payload):
    """What the grantee may do with the sharer's data, by direct grant, is another thing now or nothing at all."""

    kind: ClassVar[str] = "access_changed"
    # Not a matter of any clinic, hence in no order with other events.
    clinic_id: ClassVar[None] = None
    sharer_id: str
    grantee_id: str
