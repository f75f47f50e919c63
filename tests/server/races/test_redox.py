"""Requests about health records that meet, by turns at two server processes on one database."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from clinic_service.db.base import Base
from clinic_service.models import (
    Clinic,
    EhrSubscription,
    MatchedMessage,
    Patient,
    PatientDeletion,
    ScheduledReportOrder,
)
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, CAROL, DAVE, SERVICE
from tests.support.ehr import make_ehr_clinic, make_subscription, redox_order, store_message
from tests.support.races import Call, TwoServers
from tests.support.rounds import rounds
from tests.support.rows import make_clinician, make_patient, storing

ROUNDS = rounds(8)
RECORD = {"fullName": "Carol Cooper", "birthDate": "1987-04-12", "email": CAROL.email}


@pytest.fixture(scope="module")
def servers(pair: TwoServers) -> TwoServers:
    return pair.with_accounts(ALICE, CAROL, DAVE)


def make_site(unit: UnitOfWork) -> tuple[Clinic, Patient]:
    """A clinic with a source of its own, and Carol, who is its patient."""
    clinic = make_ehr_clinic(unit)
    source(unit, clinic)
    make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
    return clinic, make_patient(unit, clinic, CAROL, mrn="MRN-20417")


def source(unit: UnitOfWork, clinic: Clinic) -> None:
    """Give the clinic its id as its source, since clinics of other rounds are still there."""
    clinic.ehr_settings = (clinic.ehr_settings or {}) | {"sourceId": clinic.id}
    clinic.ehr_source_id = clinic.id
    unit.flush()


def stored_order(unit: UnitOfWork, clinic: Clinic, log_id: str = "a") -> str:
    return store_message(unit, redox_order(source_id=clinic.id, log_id=log_id))


def match(document_id: str, action: str, criterion: str = "MRN_DOB") -> Call:
    reference = {"dataModel": "Order", "eventType": "New", "documentId": document_id}
    patients = {"criteria": [criterion], "onUniqueMatch": action}
    return Call(SERVICE, "POST", "/v1/redox/match", {"messageRef": reference, "patients": patients})


def rows(servers: TwoServers, model: type[Base], clinic: Clinic) -> list[Any]:
    table: Any = model
    with storing(servers.database) as unit:
        found = unit.session.scalars(select(table).where(table.clinic_id == clinic.id))
        return sorted(found, key=lambda row: getattr(row, "position", 0))


def test_one_document_counts_once(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        with storing(servers.database) as unit:
            clinic, _patient = make_site(unit)
            document_id = stored_order(unit, clinic)
        actions = ["ENABLE_REPORTS", "DISABLE_REPORTS"] * 3
        answers = servers.race([match(document_id, action) for action in actions])
        assert {answer.status for answer in answers} == {200}
        assert all(len(answer.json["patients"]) == 1 for answer in answers)
        assert len(rows(servers, EhrSubscription, clinic)) == 1
        assert [row.document_id for row in rows(servers, MatchedMessage, clinic)] == [document_id]


def test_the_last_of_several_documents_decides(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        with storing(servers.database) as unit:
            clinic, _patient = make_site(unit)
            ids = [stored_order(unit, clinic, log_id) for log_id in "abcdef"]
        asked = {one: ("ENABLE_REPORTS", "DISABLE_REPORTS")[place % 2] for place, one in enumerate(ids)}
        answers = servers.race([match(one, action) for one, action in asked.items()])
        assert {answer.status for answer in answers} == {200}
        matched = rows(servers, MatchedMessage, clinic)
        assert [row.position for row in matched] == list(range(6))
        assert {row.document_id for row in matched} == set(ids)
        [subscription] = rows(servers, EhrSubscription, clinic)
        assert subscription.active == (asked[matched[-1].document_id] == "ENABLE_REPORTS")


def test_a_subscription_does_not_outlive_the_number_it_was_made_for(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        with storing(servers.database) as unit:
            clinic, _patient = make_site(unit)
            document_id = stored_order(unit, clinic)
        change = Call(ALICE, "PUT", f"/v1/clinics/{clinic.id}/patients/{CAROL.id}", RECORD | {"mrn": "MRN-9"})
        answers = servers.race([match(document_id, "ENABLE_REPORTS"), change])
        assert [answer.status for answer in answers] == [200, 200]
        # Either the order found nobody, or its subscription has ended.
        was_found = "patients" in answers[0].json
        assert [row.active for row in rows(servers, EhrSubscription, clinic)] == [False] * was_found


def test_reports_of_a_patient_who_leaves_are_scheduled_before_or_never(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        with storing(servers.database) as unit:
            clinic, carol = make_site(unit)
            dave = make_patient(unit, clinic, DAVE)
            for patient in (carol, dave):
                make_subscription(unit, patient, stored_order(unit, clinic, patient.id))
        removal = Call(ALICE, "DELETE", f"/v1/clinics/{clinic.id}/patients/{CAROL.id}")
        of_clinic = Call(SERVICE, "POST", f"/v1/clinics/{clinic.id}/ehr/sync")
        of_patient = Call(SERVICE, "POST", f"/v1/patients/{CAROL.id}/ehr/sync")
        answers = servers.race([removal, of_clinic, of_patient])
        assert [answer.status for answer in answers[:2]] == [204, 202]
        assert answers[2].status in (202, 404)
        users = [row.user_id for row in rows(servers, ScheduledReportOrder, clinic)]
        assert users.count(DAVE.id) == 1
        assert users.count(CAROL.id) <= 2
        assert [row.patient_id for row in rows(servers, EhrSubscription, clinic)] == [dave.id]
        [kept] = rows(servers, PatientDeletion, clinic)
        assert [one["name"] for one in kept.record["ehr_subscriptions"]] == ["summaryAndReports"]


def test_each_report_follows_another_one(servers: TwoServers) -> None:
    with storing(servers.database) as unit:
        clinic, carol = make_site(unit)
        make_subscription(unit, carol, stored_order(unit, clinic))
    calls = [Call(SERVICE, "POST", f"/v1/clinics/{clinic.id}/ehr/sync") for _ in range(8)]
    assert {answer.status for answer in servers.race(calls)} == {202}
    orders = rows(servers, ScheduledReportOrder, clinic)
    preceding = [row.preceding_id for row in orders]
    assert len(orders) == 8
    # None precedes two others, and one is the first.
    assert len(set(preceding)) == 8
    assert {*preceding} <= {None, *(row.id for row in orders)}
