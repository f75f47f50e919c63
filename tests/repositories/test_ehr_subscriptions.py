"""What documents do to the subscription of a patient, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import (
    REDOX_REPORTS,
    XEALTH_REPORTS,
    EhrSubscription,
    MatchedMessage,
    Patient,
    SubscriptionKind,
)
from clinic_service.resources.ehr.repository import MAX_MATCHES
from clinic_service.resources.ehr.subscriptions import (
    MatchedDocument,
    Subscription,
    find_subscription,
    update_subscription,
)
from clinic_service.unit_of_work import reading
from tests.support.cast import CAROL, DAVE
from tests.support.ehr import make_ehr_clinic
from tests.support.rows import LONG_AGO, make_patient, stored, storing
from tests.support.statements import counting

FIRST, SECOND = (MatchedDocument(f"65f1c0de0a1b2c3d4e5f6c{number:02x}", "Order", "New") for number in (1, 2))


@pytest.fixture
def patient(database: Database) -> Patient:
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        make_patient(unit, clinic, DAVE)
        return make_patient(unit, clinic, CAROL)


def update(
    database: Database,
    patient: Patient,
    document: MatchedDocument,
    *,
    active: bool,
    kind: SubscriptionKind = REDOX_REPORTS,
) -> bool:
    with storing(database) as unit:
        locked = unit.patients.lock(patient.clinic_id, patient.user_id)
        return update_subscription(unit, locked, kind, document, active=active)


def current(database: Database, patient: Patient, kind: SubscriptionKind = REDOX_REPORTS) -> Subscription | None:
    with reading(database) as unit:
        return find_subscription(unit, patient.clinic_id, patient.id, kind)


def test_does_not_exist_before_the_first_document(database: Database, patient: Patient) -> None:
    assert current(database, patient) is None


@pytest.mark.parametrize("active", [True, False])
def test_the_first_document_makes_it(database: Database, patient: Patient, active: bool) -> None:
    assert update(database, patient, FIRST, active=active)
    assert current(database, patient) == Subscription(active, FIRST)
    [row] = stored(database, EhrSubscription)
    assert (row.patient_id, row.name, row.provider) == (patient.id, "summaryAndReports", "redox")
    assert row.created_time == row.updated_time > LONG_AGO


def test_a_further_document_changes_it(database: Database, patient: Patient) -> None:
    update(database, patient, FIRST, active=True)
    [before] = stored(database, EhrSubscription)
    assert update(database, patient, SECOND, active=False)
    assert current(database, patient) == Subscription(False, SECOND)
    [after] = stored(database, EhrSubscription)
    assert after.created_time == before.created_time
    assert after.updated_time > before.updated_time
    assert [row.document_id for row in stored(database, MatchedMessage)] == [FIRST.id, SECOND.id]


def test_a_document_counts_once_whatever_it_asks_for(database: Database, patient: Patient) -> None:
    update(database, patient, FIRST, active=True)
    update(database, patient, SECOND, active=True)
    before = stored(database, Patient), stored(database, EhrSubscription)
    assert not update(database, patient, FIRST, active=False)
    assert current(database, patient) == Subscription(True, SECOND)
    after = stored(database, Patient), stored(database, EhrSubscription)
    assert [[row.updated_time for row in rows] for rows in after] == [[r.updated_time for r in rows] for rows in before]


def test_sets_only_the_updated_time_of_the_patient(database: Database, patient: Patient) -> None:
    update(database, patient, FIRST, active=True)
    times = {row.user_id: row.updated_time for row in stored(database, Patient)}
    assert times[CAROL.id] > LONG_AGO
    assert times[DAVE.id] == LONG_AGO


def test_kinds_do_not_touch_each_other(database: Database, patient: Patient) -> None:
    update(database, patient, FIRST, active=True)
    update(database, patient, FIRST, active=False, kind=XEALTH_REPORTS)
    assert current(database, patient) == Subscription(True, FIRST)
    assert current(database, patient, XEALTH_REPORTS) == Subscription(False, FIRST)


def test_another_partner_s_under_the_same_name_is_none(database: Database, patient: Patient) -> None:
    update(database, patient, FIRST, active=True)
    assert current(database, patient, REDOX_REPORTS._replace(provider=XEALTH_REPORTS.provider)) is None


def test_one_without_documents_is_found(database: Database, patient: Patient) -> None:
    with storing(database) as unit:
        unit.session.add(
            EhrSubscription(
                clinic_id=patient.clinic_id,
                patient_id=patient.id,
                name=REDOX_REPORTS.name,
                provider="redox",
                active=True,
                created_time=LONG_AGO,
                updated_time=LONG_AGO,
            )
        )
    assert current(database, patient) == Subscription(True, None)


def test_deactivation_keeps_documents_and_moves_the_time_of_active_ones(database: Database, patient: Patient) -> None:
    update(database, patient, FIRST, active=True)
    update(database, patient, SECOND, active=False, kind=XEALTH_REPORTS)
    before = {row.name: row.updated_time for row in stored(database, EhrSubscription)}
    with storing(database) as unit:
        unit.ehr.deactivate(patient.clinic_id, patient.id)
    assert current(database, patient) == Subscription(False, FIRST)
    after = {row.name: row.updated_time for row in stored(database, EhrSubscription)}
    assert after["summaryAndReports"] > before["summaryAndReports"]
    assert after["xealthReports"] == before["xealthReports"]
    assert after["summaryAndReports"] <= datetime.now(UTC)


def test_a_further_document_activates_it_again(database: Database, patient: Patient) -> None:
    update(database, patient, FIRST, active=True)
    with storing(database) as unit:
        unit.ehr.deactivate(patient.clinic_id, patient.id)
    assert not update(database, patient, FIRST, active=True)
    assert current(database, patient) == Subscription(False, FIRST)
    assert update(database, patient, SECOND, active=True)
    assert current(database, patient) == Subscription(True, SECOND)


def test_an_update_is_four_statements(database: Database, patient: Patient) -> None:
    for number in range(5):
        update(database, patient, FIRST._replace(id=f"{number:024x}"), active=True)
    with storing(database) as unit:
        locked = unit.patients.lock(patient.clinic_id, patient.user_id)
        with counting(database) as sent:
            update_subscription(unit, locked, REDOX_REPORTS, FIRST, active=True)
    assert len(sent) == 4


def test_the_latest_documents_are_remembered(database: Database, patient: Patient) -> None:
    """Each order changes the subscription, so that a patient who gets orders for years has more and more of them."""
    documents = [
        MatchedDocument(f"65f1c0de0a1b2c3d4e{number:06x}", "Order", "New") for number in range(MAX_MATCHES + 3)
    ]
    for number, document in enumerate(documents):
        assert update(database, patient, document, active=bool(number % 2))
    kept = {row.document_id for row in stored(database, MatchedMessage)}
    assert kept == {document.id for document in documents[3:]}
    assert not update(database, patient, documents[3], active=True)
    assert current(database, patient) == Subscription(False, documents[-1])
