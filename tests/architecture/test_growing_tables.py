"""No table grows for ever: retention removes its rows by age, or something limits their number."""

from __future__ import annotations

import re
from datetime import timedelta

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.retention import purge_all
from tests.support.ehr import redox_order, store_message
from tests.support.rows import storing
from tests.support.statements import counting

_RECORD, _CLINIC = "a few for each record of a patient", "one or a few for each clinic"
# What limits the number of rows, in a system with so many clinics, people and patients.
LIMITED = {
    "account_emails": "a few for each account",
    "accounts": "one for each person",
    "audit_chain": "one",
    "audit_entries": "audit.sealing removes them after CLINIC_AUDIT_DAYS",
    "clinicians": "one for each member, and the limits of pending invitations",
    "clinics": _CLINIC,
    "data_sources": _RECORD,
    "demo_clinics": _CLINIC,
    "ehr_subscriptions": _RECORD,
    "grants": "one for each pair of persons who share data",
    "list_index": _RECORD,
    "mail_requests": "the limits of mails of each clinic, whose next mail removes those that are older than an hour",
    "matched_messages": "ehr.repository.MAX_MATCHES for each subscription",
    "membership_restrictions": _CLINIC,
    "memberships": "one for each member of a clinic",
    "migrations": "one for each person",
    "order_outcomes": "one for each message of Redox, with which it is removed",
    "patient_counts": _CLINIC,
    "patient_records": _RECORD,
    "patient_sites": _RECORD,
    "patient_tags": _RECORD,
    "patients": "one for each patient of a clinic",
    "pending_clinicians": "the limits of pending invitations",
    "report_schedules": _CLINIC,
    "reservations": "they last for seconds, and the next one of the clinic removes those that are over",
    "restricted_tokens": "they last for a limited time, and the next one removes those that are over",
    "share_codes": "one for each clinic, and for each clinic that was merged into it",
    "sites": "the limit of sites of a clinic",
    "statistics": _RECORD,
    "summaries": _RECORD,
    "summary_documents": _RECORD,
    "tags": "the limit of tags of a clinic",
}


def test_each_table_is_limited_or_removed_by_age(database: Database) -> None:
    long_ago = clock.now() - timedelta(days=10_000)
    with clock.frozen(long_ago), storing(database) as unit:
        store_message(unit, redox_order(log_id="old"))
    with counting(database) as sent:
        list(purge_all(database, Config()))
    removed = {found[1] for sql in sent if (found := re.match(r"DELETE FROM (\w+)", sql))}
    assert removed.isdisjoint(LIMITED)
    assert removed | LIMITED.keys() == Base.metadata.tables.keys()
