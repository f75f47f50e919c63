"""The tables, and the rules that need only a row.

There is one file for each subject, and all groups share them. Tables of a clinic have primary and foreign keys that begin
with the id of the clinic. A fact that is unique across clinics (a share code, the key of an invitation, the migration of a
user) has a table with that fact as its primary key.
"""

from clinic_service.db.base import Base
from clinic_service.models.access import Grant
from clinic_service.models.account import AccountDeletion, AccountEmail, EmbeddedAccount
from clinic_service.models.audit import NO_CLINIC, AuditChain, AuditEntry
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
from clinic_service.models.clinics_of_users import Membership, PatientRecord, PendingClinician
from clinic_service.models.deletion import ClinicDeletion, ClinicianDeletion, PatientDeletion
from clinic_service.models.ehr import (
    IS_REDOX_SUBSCRIPTION,
    MATCHES_OF_SUBSCRIPTION,
    REDOX_REPORTS,
    SUBSCRIPTIONS_OF_PATIENT,
    XEALTH_REPORTS,
    EhrSubscription,
    MatchedMessage,
    RedoxMessage,
    ReportOrderState,
    ScheduledReportOrder,
    SubscriptionKind,
)
from clinic_service.models.invite import Invite, InviteStatus, InviteType
from clinic_service.models.label import Label
from clinic_service.models.list_index import LIST_INDEX
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
from clinic_service.models.redox_delivery import OrderOutcome, OrderState, ReportSchedule, SentMessage
from clinic_service.models.reservation import Reservation
from clinic_service.models.restricted_token import RestrictedToken
from clinic_service.models.site import PatientSite, Site
from clinic_service.models.statistics import STATISTICS
from clinic_service.models.stored_answer import StoredAnswer
from clinic_service.models.summary import Summary, SummaryDocument
from clinic_service.models.tag import PatientTag, Tag
from clinic_service.models.xealth import XealthOrder, XealthPreorder, XealthReportView

__all__ = [
    "IS_REDOX_SUBSCRIPTION",
    "LIST_INDEX",
    "MATCHES_OF_SUBSCRIPTION",
    "NO_CLINIC",
    "REDOX_REPORTS",
    "STATISTICS",
    "SUBSCRIPTIONS_OF_PATIENT",
    "XEALTH_REPORTS",
    "AccountDeletion",
    "AccountEmail",
    "AuditChain",
    "AuditEntry",
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
    "EmbeddedAccount",
    "Grant",
    "Invite",
    "InviteStatus",
    "InviteType",
    "Label",
    "MailPurpose",
    "MailRequest",
    "MatchedMessage",
    "Membership",
    "MembershipRestriction",
    "MergeElementType",
    "MergePlanElement",
    "Migration",
    "MigrationStatus",
    "OrderOutcome",
    "OrderState",
    "OutboxEntry",
    "Patient",
    "PatientCount",
    "PatientDeletion",
    "PatientRecord",
    "PatientSite",
    "PatientTag",
    "PendingClinician",
    "Permission",
    "RedoxMessage",
    "ReportOrderState",
    "ReportSchedule",
    "Reservation",
    "RestrictedToken",
    "Review",
    "Role",
    "ScheduledReportOrder",
    "SentMessage",
    "ShareCode",
    "Site",
    "StoredAnswer",
    "SubscriptionKind",
    "Summary",
    "SummaryDocument",
    "Tag",
    "Tier",
    "XealthOrder",
    "XealthPreorder",
    "XealthReportView",
]
