"""The tables, and those rules that need nothing but a row.

One file for each subject. All groups share them, so that groups never have to import each other. A row of a clinic
has a key, and foreign keys, that lead with the clinic's id; a fact that is unique across clinics (a share code, an
invitation's key, a user's migration) has a table keyed by that fact.
"""

from clinic_service.db.base import Base
from clinic_service.models.access import Grant
from clinic_service.models.account import Account, AccountDeletion, AccountEmail
from clinic_service.models.clinic import (
    BgUnits,
    Clinic,
    ClinicSize,
    ClinicType,
    DemoClinic,
    EhrProvider,
    MembershipRestriction,
    ShareCode,
    Tier,
)
from clinic_service.models.clinician import Clinician, ClinicianRoleUpdate, Role
from clinic_service.models.deletion import ClinicDeletion, ClinicianDeletion, PatientDeletion
from clinic_service.models.ehr_subscription import EhrSubscription
from clinic_service.models.invite import Invite, InviteStatus, InviteType
from clinic_service.models.list_index import HOT_STATISTICS
from clinic_service.models.mail_request import MailPurpose, MailRequest
from clinic_service.models.merge import MergeElementType, MergePlanElement
from clinic_service.models.migration import Migration, MigrationStatus
from clinic_service.models.outbox import OutboxEntry
from clinic_service.models.patient import (
    DataSource,
    DataSourceState,
    DiagnosisType,
    Patient,
    PatientCount,
    Permission,
    Review,
)
from clinic_service.models.reservation import Reservation
from clinic_service.models.site import PatientSite, Site
from clinic_service.models.statistics import STATISTICS
from clinic_service.models.summary import Summary, SummaryDocument
from clinic_service.models.tag import PatientTag, Tag

__all__ = [
    "HOT_STATISTICS",
    "STATISTICS",
    "Account",
    "AccountDeletion",
    "AccountEmail",
    "Base",
    "BgUnits",
    "Clinic",
    "ClinicDeletion",
    "ClinicSize",
    "ClinicType",
    "Clinician",
    "ClinicianDeletion",
    "ClinicianRoleUpdate",
    "DataSource",
    "DataSourceState",
    "DemoClinic",
    "DiagnosisType",
    "EhrProvider",
    "EhrSubscription",
    "Grant",
    "Invite",
    "InviteStatus",
    "InviteType",
    "MailPurpose",
    "MailRequest",
    "MembershipRestriction",
    "MergeElementType",
    "MergePlanElement",
    "Migration",
    "MigrationStatus",
    "OutboxEntry",
    "Patient",
    "PatientCount",
    "PatientDeletion",
    "PatientSite",
    "PatientTag",
    "Permission",
    "Reservation",
    "Review",
    "Role",
    "ShareCode",
    "Site",
    "Summary",
    "SummaryDocument",
    "Tag",
    "Tier",
]
