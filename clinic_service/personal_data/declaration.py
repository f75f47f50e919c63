"""How the rows of each table relate to a person: `DECLARED` has every table, and a reason for those without personal data.

`Person.parameters` gives the conditions their values. Operators ask for one person at a time, so that the conditions
may read a whole table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Table,
    Text,
    and_,
    bindparam,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy import false as never
from sqlalchemy import true as always
from sqlalchemy.sql.visitors import iterate

from clinic_service.db.base import Base
from clinic_service.db.dialects import among, has_text
from clinic_service.models import (
    Clinician,
    ClinicianDeletion,
    Invite,
    InviteType,
    MatchedMessage,
    MergePlanElement,
    OrderOutcome,
    OutboxEntry,
    Patient,
    PatientDeletion,
    PatientRecord,
    ScheduledReportOrder,
)
from clinic_service.outbox.deliveries import MAILS
from clinic_service.outbox.events import NOTICES, EhrMessageReceived, EhrReportScheduled


class Person(NamedTuple):
    """A person: the user id, the addresses of the account in lower case, and the ids of documents about the person."""

    user_id: str
    emails: Sequence[str] = ()
    documents: Sequence[str] = ()

    def parameters(self, condition: ColumnElement[bool]) -> dict[str, Any]:
        """The parameters of the condition. An UPDATE takes no others."""
        values = {"of_user": self.user_id, "of_emails": list(self.emails), "of_documents": list(self.documents)}
        used = {str(one.key) for one in iterate(condition) if isinstance(one, BindParameter)}
        return {name: value for name, value in values.items() if name in used}


class Erasure(StrEnum):
    """How rows about a person are erased."""

    DELETED = "deleted"
    # With the person's records and memberships, by the rules of the domain.
    LEAVES_CLINICS = "leaves clinics"
    # The rows stay with their ids; their JSON document becomes an empty object.
    EMPTIED = "emptied"


@dataclass(frozen=True)
class About:
    """A row for which `condition` holds is about the person. It is erased if `erased` holds too, and never if `kept` does.

    `document` is the column of a row that is emptied. `mentions` are columns that only refer to a person by id.
    """

    condition: ColumnElement[bool]
    erasure: Erasure = Erasure.DELETED
    erased: ColumnElement[bool] = field(default_factory=always)
    document: str | None = None
    mentions: tuple[str, ...] = ()
    kept: ColumnElement[bool] = field(default_factory=never)

    @property
    def removable(self) -> ColumnElement[bool]:
        """The condition for a row that an erasure removes or empties now."""
        return self.condition & self.erased & ~self.kept


@dataclass(frozen=True)
class NotAbout:
    """The reason why no row of a table is about a person. `mentions` are columns that refer to a person by id."""

    why: str
    mentions: tuple[str, ...] = ()


_USER: BindParameter[str] = bindparam("of_user", type_=Text())


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


def _member(column: Any, name: str) -> ColumnElement[str]:
    """The member `name` of a JSON document, as text."""
    member: ColumnElement[str] = column.op("->>", return_type=Text())(literal_column(f"'{name}'"))
    return member


def _of_user(name: str, *columns: str, **others: Any) -> About:
    return About(or_(*(_table(name).c[column] == _USER for column in columns)), **others)


def _of_patient(name: str) -> About:
    """Rows that belong to a record of a patient, and are deleted with it."""
    table = _table(name)
    return About(tuple_(table.c.clinic_id, table.c.patient_id).in_(_RECORDS), Erasure.LEAVES_CLINICS)


_RECORDS = select(Patient.clinic_id, Patient.id).where(
    Patient.clinic_id.in_(select(PatientRecord.clinic_id).where(PatientRecord.user_id == _USER)),
    Patient.user_id == _USER,
)
_ADDRESSED = or_(Invite.user_id == _USER, and_(Invite.user_id.is_(None), among(Invite.email, "of_emails")))
_OFFERED = and_(Invite.type == InviteType.PATIENT, Invite.creator_id == _USER)
_PENDING = and_(Clinician.user_id.is_(None), Clinician.invite_id.in_(select(Invite.key).where(_ADDRESSED)))
_CLINICIAN = or_(Clinician.user_id == _USER, _PENDING)
_MATCHED = select(MatchedMessage.document_id).where(
    tuple_(MatchedMessage.clinic_id, MatchedMessage.patient_id).in_(_RECORDS)
)
_ANSWERED = select(OrderOutcome.message_id).where(OrderOutcome.user_id == _USER)
_REPORTED = select(ScheduledReportOrder.message_id).where(ScheduledReportOrder.user_id == _USER)
_messages, _orders = _table("redox_messages").c, _table("xealth_orders").c
_LINKED = _MATCHED.union(_ANSWERED, _REPORTED)
_ELEMENT, _PAYLOAD = MergePlanElement.element, OutboxEntry.payload
# They contain only ids, and other programs read them also after an erasure.
_NOTICE = OutboxEntry.kind.in_(sorted(NOTICES))
# All other events correct an account. They stay until they are delivered.
_NOT_NEEDED = or_(
    OutboxEntry.delivered_time.is_not(None),
    OutboxEntry.kind.in_([*sorted(MAILS), EhrMessageReceived.kind, EhrReportScheduled.kind]),
)

_OF_CLINIC = "It describes a clinic."
_IDS = "It contains only ids."

DECLARED: Mapping[str, About | NotAbout] = {
    "account_deletions": NotAbout("It contains only the id, so that tokens of the account are refused.", ("user_id",)),
    "account_emails": _of_user("account_emails", "user_id"),
    "accounts": _of_user("accounts", "user_id"),
    "audit_chain": NotAbout("It contains numbers and hashes."),
    "audit_entries": NotAbout("The audit trail is kept. It names people only by their ids."),
    "clinic_deletions": NotAbout(_OF_CLINIC, ("deleted_by_user_id",)),
    "clinician_deletions": About(
        or_(
            ClinicianDeletion.user_id == _USER,
            and_(ClinicianDeletion.user_id.is_(None), among(_member(ClinicianDeletion.record, "email"), "of_emails")),
        ),
        Erasure.EMPTIED,
        _member(ClinicianDeletion.record, "id").is_not(None),
        "record",
        mentions=("deleted_by_user_id",),
    ),
    "clinician_role_updates": About(
        tuple_(_table("clinician_role_updates").c.clinic_id, _table("clinician_role_updates").c.clinician_id).in_(
            select(Clinician.clinic_id, Clinician.id).where(_CLINICIAN)
        ),
        Erasure.LEAVES_CLINICS,
    ),
    "clinicians": About(_CLINICIAN, Erasure.LEAVES_CLINICS),
    "clinics": NotAbout(_OF_CLINIC),
    "data_sources": _of_patient("data_sources"),
    "demo_clinics": NotAbout(_OF_CLINIC),
    "ehr_subscriptions": _of_patient("ehr_subscriptions"),
    "grants": _of_user("grants", "sharer_id", "grantee_id", erasure=Erasure.LEAVES_CLINICS),
    "invites": About(or_(_ADDRESSED, _OFFERED), Erasure.LEAVES_CLINICS),
    "list_index": _of_patient("list_index"),
    "mail_requests": _of_user("mail_requests", "person_id"),
    "matched_messages": _of_patient("matched_messages"),
    "memberships": _of_user("memberships", "user_id", erasure=Erasure.LEAVES_CLINICS),
    "membership_restrictions": NotAbout(_OF_CLINIC),
    "merge_plan_elements": About(
        or_(_member(_ELEMENT, "userId") == _USER, among(_member(_ELEMENT, "email"), "of_emails")),
        Erasure.EMPTIED,
        document="element",
    ),
    "migrations": _of_user("migrations", "user_id"),
    "order_outcomes": _of_user("order_outcomes", "user_id"),
    "outbox": About(
        or_(
            *(_member(_PAYLOAD, name) == _USER for name in ("userId", "sharerId", "granteeId")),
            *(among(_member(_PAYLOAD, name), "of_emails") for name in ("Email", "email")),
            among(_member(_PAYLOAD, "messageId"), "of_documents"),
        ),
        erased=_NOT_NEEDED,
        kept=_NOTICE,
    ),
    "patient_counts": NotAbout("It contains numbers."),
    "patient_deletions": _of_user(
        "patient_deletions",
        "user_id",
        erasure=Erasure.EMPTIED,
        erased=_member(PatientDeletion.record, "id").is_not(None),
        document="record",
        mentions=("deleted_by_user_id",),
    ),
    "patient_records": _of_user("patient_records", "user_id", erasure=Erasure.LEAVES_CLINICS),
    "patient_sites": _of_patient("patient_sites"),
    "patient_tags": _of_patient("patient_tags"),
    "patients": _of_user("patients", "user_id", erasure=Erasure.LEAVES_CLINICS),
    "pending_clinicians": NotAbout("It holds the keys of invitations and ids of clinics."),
    "redox_messages": About(
        or_(_messages.id.in_(_LINKED), _messages.duplicate_of.in_(_LINKED), among(_messages.id, "of_documents"))
    ),
    "report_schedules": NotAbout(_OF_CLINIC),
    "reservations": NotAbout("It contains only ids, while an account is being changed.", ("user_id",)),
    "restricted_tokens": _of_user("restricted_tokens", "user_id"),
    "scheduled_report_orders": _of_user("scheduled_report_orders", "user_id"),
    "sent_redox_messages": NotAbout(_IDS),
    "share_codes": NotAbout(_OF_CLINIC),
    "sites": NotAbout(_OF_CLINIC),
    "statistics": _of_patient("statistics"),
    # An answer that contains the id of the person may contain data about the person.
    "stored_answers": About(
        or_(
            _table("stored_answers").c.caller == literal("person:", Text()) + _USER,
            has_text(_table("stored_answers").c.body, _USER),
        )
    ),
    "summaries": _of_patient("summaries"),
    "summary_documents": _of_patient("summary_documents"),
    "tags": NotAbout(_OF_CLINIC),
    "xealth_orders": About(or_(_orders.id.in_(_MATCHED), among(_orders.id, "of_documents"))),
    "xealth_preorders": About(
        or_(
            among(_table("xealth_preorders").c.data_tracking_id, "of_documents"),
            among(_table("xealth_preorders").c.email, "of_emails"),
        )
    ),
    "xealth_report_views": _of_patient("xealth_report_views"),
}


def declared() -> list[tuple[Table, About]]:
    """The tables with rows about persons, those that refer to others first."""
    tables = reversed(Base.metadata.sorted_tables)
    found = ((table, DECLARED[table.name]) for table in tables)
    return [(table, about) for table, about in found if isinstance(about, About)]
