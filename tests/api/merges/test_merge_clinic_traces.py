"""MergeClinic: what it leaves behind. Nothing of the source is lost, and others learn of it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.models import (
    Base,
    ClinicDeletion,
    ClinicianDeletion,
    ClinicianRoleUpdate,
    DemoClinic,
    EhrSubscription,
    EmbeddedAccount,
    MailRequest,
    MergePlanElement,
    Migration,
    OutboxEntry,
    Patient,
    Reservation,
    ShareCode,
)
from clinic_service.outbox.events import AddressDiverged
from tests.api.merges.steps import merge
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE
from tests.support.client import Client
from tests.support.invites import NOW, make_offer, status_of
from tests.support.merges import FRANK, Pair
from tests.support.relays import make_relay
from tests.support.rows import (
    make_account,
    make_clinic,
    make_clinician,
    make_migration,
    make_patient,
    share_code,
    stored,
    storing,
)

HOUR = timedelta(hours=1)


# Every table with rows of clinics is in one of these. What goes to the target:
MOVED = {
    *("patients", "data_sources", "patient_tags", "patient_sites", "ehr_subscriptions"),
    *("summaries", "summary_documents", "statistics", "list_index"),
    *("tags", "sites", "clinicians", "clinician_role_updates", "invites", "share_codes"),
    *("migrations", "mail_requests", "reservations", "patient_records", "memberships"),
    *("matched_messages", "scheduled_report_orders", "xealth_orders", "xealth_report_views"),
}


# What says something of the clinic itself, and goes with it:
DROPPED = {
    "membership_restrictions",
    "pending_clinicians",
    "patient_counts",
    "demo_clinics",
    "report_schedules",
    "xealth_preorders",
}


# What is told of it after it is gone: what was deleted, what was merged, and what others are yet to learn.
HISTORY = {
    "audit_entries",
    "clinic_deletions",
    "clinician_deletions",
    "patient_deletions",
    "merge_plan_elements",
    "order_outcomes",
    "outbox",
}


def rows_by_clinic(database: Database, clinic_id: str) -> dict[str, int]:
    """How many rows each table with rows of clinics has of the clinic."""
    tables = [table for table in Base.metadata.sorted_tables if "clinic_id" in table.columns]
    with storing(database) as unit:
        return {
            table.name: unit.execute(select(func.count()).where(table.c.clinic_id == clinic_id)).scalar_one()
            for table in tables
        }


def test_nothing_of_the_source_is_left_and_each_kind_of_it_is_in_the_target(
    api: Client, database: Database, full: Pair
) -> None:
    """Whoever adds a table decides what a merge does with its rows, and shows it here."""
    before = rows_by_clinic(database, full.source)
    assert set(before) == MOVED | DROPPED | HISTORY
    assert {name for name in MOVED if not before[name]} == set()
    merge(api, full)
    left, after = rows_by_clinic(database, full.source), rows_by_clinic(database, full.target)
    assert {name for name, number in left.items() if number} <= HISTORY
    assert {name for name in MOVED if not after[name]} == set()


def test_the_clinic_leaves_a_record_of_itself_as_it_was(api: Client, database: Database, full: Pair) -> None:
    merge(api, full)
    [deletion] = stored(database, ClinicDeletion)
    assert (deletion.clinic_id, deletion.deleted_by_user_id, deletion.deleted_time) == (full.source, None, NOW)
    assert deletion.record["name"] == "Hilltop"
    assert {tag["name"] for tag in deletion.record["tags"]} == {"pump", "Trial"}
    assert {site["name"] for site in deletion.record["sites"]} == {"West", "North"}
    assert {code["code"] for code in deletion.record["share_codes"]} == {share_code(full.source), "ZZZZ-ZZZZ-ZZZZ"}


def test_members_who_are_dropped_leave_records_and_who_moves_keeps_the_history(
    api: Client, database: Database, full: Pair
) -> None:
    merge(api, full)
    dropped = {one.user_id: one for one in stored(database, ClinicianDeletion)}
    assert set(dropped) == {ALICE.id, BOB.id}
    assert {one.clinic_id for one in dropped.values()} == {full.source}
    assert {one.deleted_by_user_id for one in dropped.values()} == {None}
    assert dropped[BOB.id].record["is_admin"] is True
    [history] = stored(database, ClinicianRoleUpdate)
    assert (history.clinic_id, history.roles) == (full.target, ["CLINIC_ADMIN"])


def test_all_share_codes_lead_to_the_target_which_shows_its_own(api: Client, database: Database, full: Pair) -> None:
    merge(api, full)
    for code in (share_code(full.source), "ZZZZ-ZZZZ-ZZZZ", share_code(full.target)):
        found = api.get(f"/v1/clinics/share_code/{code}", as_=ALICE).json
        assert (found["id"], found["shareCode"]) == (full.target, share_code(full.target))
    assert [code.canonical for code in stored(database, ShareCode)].count(True) == 1


def test_subscriptions_travel_with_who_moves_and_are_dropped_with_who_is_dropped(
    api: Client, database: Database, full: Pair
) -> None:
    merge(api, full)
    users = {patient.id: patient.user_id for patient in stored(database, Patient)}
    kept = {(users[one.patient_id], one.name, one.active) for one in stored(database, EhrSubscription)}
    assert kept == {(CAROL.id, "summaryAndReports", True), (DAVE.id, "xealthReports", False)}


class TestOffers:
    def test_become_offers_to_the_target_and_can_be_accepted_there(
        self, api: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            make_account(unit, PETE)
            key = make_offer(unit, unit.clinics.get(pair.source), PETE)
        merge(api, pair)
        offers = api.get(f"/v1/clinics/{pair.target}/invites/patients", as_=SERVICE).json
        assert [offer["key"] for offer in offers] == [key]
        accepted = api.put(f"/v1/clinics/{pair.target}/invites/patients/{key}", as_=SERVICE, json={})
        assert (accepted.status, accepted.json["id"]) == (200, PETE.id)

    @pytest.mark.parametrize(
        ("in_source", "in_target", "expected"),
        [
            (HOUR, HOUR, ("canceled", "pending")),
            (HOUR, -HOUR, ("pending", "canceled")),
            (-HOUR, None, ("canceled", None)),
            (-HOUR, HOUR, ("canceled", "pending")),
        ],
    )
    def test_of_one_patient_there_is_one_that_is_open(
        self,
        api: Client,
        database: Database,
        pair: Pair,
        in_source: timedelta,
        in_target: timedelta | None,
        expected: tuple[str, str | None],
    ) -> None:
        with storing(database) as unit:
            key = make_offer(unit, unit.clinics.get(pair.source), PETE, expires_at=NOW + in_source)
            other = in_target and make_offer(unit, unit.clinics.get(pair.target), PETE, expires_at=NOW + in_target)
        merge(api, pair)
        assert (status_of(database, key), other and status_of(database, other)) == expected

    @pytest.mark.parametrize("status", ["completed", "declined", "canceled"])
    def test_that_are_answered_stay_as_they_are(self, api: Client, database: Database, pair: Pair, status: str) -> None:
        with storing(database) as unit:
            key = make_offer(unit, unit.clinics.get(pair.source), PETE, status=status)
        merge(api, pair)
        assert status_of(database, key) == status
        assert api.get(f"/v1/clinics/{pair.target}/invites/patients", as_=SERVICE).json == []


@pytest.mark.parametrize(("status", "told"), [("PENDING", 1), ("RUNNING", 1), ("COMPLETED", 0)])
def test_migrations_into_the_source_become_migrations_into_the_target(
    api: Client, database: Database, pair: Pair, status: str, told: int
) -> None:
    with storing(database) as unit:
        source = unit.clinics.get(pair.source)
        make_clinician(unit, source, ERIN, "CLINIC_ADMIN")
        make_migration(unit, source, ERIN, status=status)
    merge(api, pair)
    assert [(one.clinic_id, one.status) for one in stored(database, Migration)] == [(pair.target, status)]
    requested = [one for one in stored(database, OutboxEntry) if one.kind == "migration_requested"]
    assert [(one.clinic_id, one.payload["userId"]) for one in requested] == [(pair.target, ERIN.id)] * told


def test_requests_for_mail_count_in_the_target(api: Client, database: Database, full: Pair) -> None:
    merge(api, full)
    assert [(one.clinic_id, one.person_id) for one in stored(database, MailRequest)] == [(full.target, ERIN.id)]


def test_an_account_that_is_being_changed_stays_reserved_and_a_place_for_a_new_one_does_not(
    api: Client, database: Database, full: Pair
) -> None:
    merge(api, full)
    assert [(one.clinic_id, one.user_id) for one in stored(database, Reservation)] == [(full.target, CAROL.id)]


@pytest.mark.parametrize("again", [False, True])
def test_an_address_that_the_record_did_not_follow_is_put_right_by_the_target(
    api: Client, database: Database, config: Config, pair: Pair, again: bool
) -> None:
    """The account has got another address for a change that the source did not live to see."""
    with storing(database) as unit:
        make_account(unit, CAROL._replace(email="new@mail.example"))
        make_patient(unit, unit.clinics.get(pair.source), CAROL, "custodian")
        unit.outbox.schedule(AddressDiverged(pair.source, CAROL.id), NOW + timedelta(minutes=1))
        third = make_clinic(unit)
    merge(api, pair)
    if again:
        merge(api, Pair(pair.target, third.id))
    with clock.frozen(NOW + timedelta(minutes=2)):
        make_relay(database, config, None, chosen_accounts(config, database)).deliver_due()
    assert [account.username for account in stored(database, EmbeddedAccount)] == [CAROL.email]


@pytest.mark.parametrize(
    ("marked", "kept"),
    [((True, True), True), ((False, True), False), ((True, False), False), ((False, False), False)],
)
def test_a_clinic_with_patients_of_a_real_one_is_no_demo(
    api: Client, database: Database, pair: Pair, marked: tuple[bool, bool], kept: bool
) -> None:
    with storing(database) as unit:
        for clinic_id, is_demo in zip(pair, marked, strict=True):
            if is_demo:
                unit.session.add(DemoClinic(clinic_id=clinic_id))
    merge(api, pair)
    assert [row.clinic_id for row in stored(database, DemoClinic)] == [pair.target] * kept


def elements(database: Database, kind: str) -> list[dict[str, Any]]:
    return [row.element for row in stored(database, MergePlanElement) if row.type == kind]


def test_the_plan_is_kept(api: Client, database: Database, full: Pair) -> None:
    merge(api, full)
    rows = stored(database, MergePlanElement)
    assert len({row.plan_id for row in rows}) == 1
    assert {(row.clinic_id, row.source_id) for row in rows} == {(full.target, full.source)}
    assert Counter(row.type for row in rows) == {"clinic": 1, "tag": 4, "site": 4, "clinician": 5, "patient": 5}
    [clinic] = elements(database, "clinic")
    assert (clinic["sourceName"], clinic["targetName"]) == ("Hilltop", "Harbour")
    patients = {(one["userId"], one["action"]): one for one in elements(database, "patient")}
    assert set(patients) == {
        (CAROL.id, "MOVE"),
        (DAVE.id, "MERGE"),
        (MALLORY.id, "MOVE"),
        (DAVE.id, "MERGE_INTO"),
        (FRANK.id, "RETAIN"),
    }
    carol = patients[CAROL.id, "MOVE"]
    assert carol["conflicts"] == [{"category": "Likely Duplicate Accounts", "userId": FRANK.id}]
    assert carol["sites"] == ["North", "West (2)"]
    assert "summary" not in carol
