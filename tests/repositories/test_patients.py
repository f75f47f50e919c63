"""Queries about patients that several groups ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.models import (
    XEALTH_REPORTS,
    Clinic,
    DataSource,
    EhrSubscription,
    MatchedMessage,
    OutboxEntry,
    Patient,
    PatientCount,
    PatientDeletion,
    PatientSite,
    PatientTag,
)
from clinic_service.resources.patients.errors import DuplicateMrn, DuplicatePatient, MrnRequired, PatientNotFound
from clinic_service.resources.patients.mrn import register_mrn
from tests.support.cast import ALICE, CAROL, DAVE, ERIN, PETE, Somebody
from tests.support.ehr import make_ehr_clinic, make_subscription
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_data_source,
    make_patient,
    make_site,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)


def new_patient(clinic: Clinic, person: Somebody, **values: Any) -> Patient:
    return Patient(
        clinic_id=clinic.id, id=new_id(), user_id=person.id, created_time=LONG_AGO, updated_time=LONG_AGO, **values
    )


def test_removal_keeps_subscriptions_and_what_they_rested_on(database: Database) -> None:
    documents = ["65f1c0de0a1b2c3d4e5f6c02", "65f1c0de0a1b2c3d4e5f6c01"]
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        for person in (CAROL, DAVE, ERIN):
            make_patient(unit, clinic, person)
        make_subscription(unit, unit.patients.get(clinic.id, CAROL.id), *documents)
        make_subscription(unit, unit.patients.get(clinic.id, CAROL.id), kind=XEALTH_REPORTS, active=False)
        make_subscription(unit, unit.patients.get(clinic.id, DAVE.id), documents[0])
    with storing(database) as unit:
        unit.patients.remove([unit.patients.get(clinic.id, person.id) for person in (CAROL, ERIN)], None)
    with storing(database) as unit:
        assert [row.name for row in unit.session.scalars(select(EhrSubscription))] == ["summaryAndReports"]
        assert [row.document_id for row in unit.session.scalars(select(MatchedMessage))] == documents[:1]
        records = {
            kept.user_id: kept.record["ehr_subscriptions"] for kept in unit.session.scalars(select(PatientDeletion))
        }
    times = dict.fromkeys(("created_time", "updated_time"), "2026-01-05T08:30:00.000Z")
    kind = {"data_model": "Order", "event_type": "New"}
    assert records[ERIN.id] == []
    assert records[CAROL.id] == [
        {
            "name": "summaryAndReports",
            "provider": "redox",
            "active": True,
            **times,
            "matched_messages": [{"document_id": one, **kind} for one in documents],
        },
        {"name": "xealthReports", "provider": "xealth", "active": False, **times, "matched_messages": []},
    ]


def test_removal_keeps_the_whole_record(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        patient = make_patient(unit, clinic, CAROL, "view", "custodian", mrn="MRN-1", target_devices=["dexcom"])
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North Wing")
        tag_patient(unit, patient, tag)
        place_patient(unit, patient, site)
        make_data_source(unit, patient, "dexcom", modified_time=LONG_AGO)
        kept = make_patient(unit, clinic, DAVE)
    with storing(database) as unit:
        unit.patients.remove([unit.patients.get(clinic.id, CAROL.id)], ALICE.id)
    with storing(database) as unit:
        assert [row.id for row in unit.session.scalars(select(Patient))] == [kept.id]
        for child in (PatientTag, PatientSite, DataSource):
            assert unit.session.scalars(select(child)).all() == []
        [deletion] = unit.session.scalars(select(PatientDeletion))
        assert (deletion.clinic_id, deletion.user_id) == (clinic.id, CAROL.id)
        assert deletion.deleted_by_user_id == ALICE.id
        assert deletion.record["mrn"] == "MRN-1"
        assert deletion.record["target_devices"] == ["dexcom"]
        assert deletion.record["permission_custodian"] is True
        assert deletion.record["tags"] == [tag.id]
        assert deletion.record["sites"] == [{"id": site.id, "name": "North Wing"}]
        assert deletion.record["data_sources"] == [
            {
                "provider_name": "dexcom",
                "state": "connected",
                "data_source_id": None,
                "modified_time": "2026-01-05T08:30:00.000Z",
                "expiration_time": None,
                "latest_data_time": None,
            }
        ]
        [event] = unit.session.scalars(select(OutboxEntry))
        assert (event.kind, event.clinic_id) == ("patient_removed", clinic.id)
        assert event.payload == {"clinicId": clinic.id, "userId": CAROL.id, "custodial": True}


def test_removal_spans_clinics(database: Database) -> None:
    with storing(database) as unit:
        clinics = [make_clinic(unit), make_clinic(unit)]
        for clinic in clinics:
            make_patient(unit, clinic, CAROL)
            make_patient(unit, clinic, DAVE)
    with storing(database) as unit:
        unit.patients.remove(unit.patients.all_of_user(CAROL.id), None)
    with storing(database) as unit:
        assert {row.user_id for row in unit.session.scalars(select(Patient))} == {DAVE.id}
        deletions = unit.session.scalars(select(PatientDeletion)).all()
        assert {deletion.clinic_id for deletion in deletions} == {clinic.id for clinic in clinics}
        assert {deletion.deleted_by_user_id for deletion in deletions} == {None}
        unit.patients.remove([], None)


def test_the_plan_has_neither_the_demo_patient_nor_patients_with_the_free_provider(database: Database) -> None:
    with storing(database) as unit:
        clinic, other = make_clinic(unit), make_clinic(unit)
        make_patient(unit, other, CAROL)
        make_patient(unit, clinic, CAROL)
        make_patient(unit, clinic, PETE)
        free = make_patient(unit, clinic, DAVE)
        make_data_source(unit, free, "dexcom")
        make_data_source(unit, free, "twiist", state="error")
        demo = make_patient(unit, clinic, ERIN)
        make_data_source(unit, demo, "dexcom")
    with storing(database) as unit:
        assert unit.patients.count(clinic.id, ERIN.id) == (4, 1, 2)
        assert unit.patients.count_plan(clinic.id, ERIN.id) == 2
        assert unit.patients.count(clinic.id, None) == (4, 0, 3)
        assert unit.patients.count_plan(clinic.id, None) == 3
        assert unit.patients.count("0" * 24, ERIN.id) == (0, 0, 0)


def test_providers_are_counted_by_patients(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        twice = make_patient(unit, clinic, CAROL)
        make_data_source(unit, twice, "dexcom", state="connected")
        make_data_source(unit, twice, "dexcom", state="error")
        make_data_source(unit, twice, "dexcom", state="error")
        make_data_source(unit, make_patient(unit, clinic, DAVE), "dexcom", state="connected")
        make_data_source(unit, make_patient(unit, clinic, ERIN), "dexcom", state="connected")
    with storing(database) as unit:
        rows = [tuple(row) for row in unit.patients.count_by_provider(clinic.id, ERIN.id)]
        assert sorted(rows, key=str) == [
            ("dexcom", "connected", 2),
            ("dexcom", "error", 1),
            ("dexcom", None, 2),
        ]


def test_the_count_of_a_clinic_follows_each_new_and_removed_patient(database: Database) -> None:
    def counts() -> dict[str, int]:
        with storing(database) as unit:
            return {row.clinic_id: row.patients for row in unit.session.scalars(select(PatientCount))}

    with storing(database) as unit:
        clinic, other = make_clinic(unit), make_clinic(unit)
        for place, person in ((clinic, CAROL), (clinic, DAVE), (other, CAROL)):
            unit.patients.add(new_patient(place, person))
    assert counts() == {clinic.id: 2, other.id: 1}
    with storing(database) as unit:
        unit.patients.remove([unit.patients.get(one.id, CAROL.id) for one in (clinic, other)], None)
    assert counts() == {clinic.id: 1, other.id: 0}


def test_a_user_is_a_patient_of_a_clinic_once(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_patient(unit, clinic, CAROL)
    with storing(database) as unit:
        savepoint = unit.session.begin_nested()
        with pytest.raises(DuplicatePatient):
            unit.patients.add(new_patient(clinic, CAROL))
        savepoint.rollback()
        assert len(unit.patients.all_of_user(CAROL.id)) == 1


def test_flagged_numbers_are_unique_by_key_in_their_clinic(database: Database) -> None:
    with storing(database) as unit:
        clinic, other = make_clinic(unit), make_clinic(unit)
        unit.patients.add(new_patient(clinic, CAROL, mrn="A1", require_unique_mrn=True))
        unit.patients.add(new_patient(other, CAROL, mrn="A1", require_unique_mrn=True))
        unit.patients.add(new_patient(clinic, PETE, mrn="A1"))
    with storing(database) as unit:
        savepoint = unit.session.begin_nested()
        with pytest.raises(DuplicateMrn):
            unit.patients.add(new_patient(clinic, DAVE, mrn="A1", require_unique_mrn=True))
        savepoint.rollback()


def test_a_blank_number_is_none(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, mrn_required=True, mrn_unique=True)
        with pytest.raises(MrnRequired):
            register_mrn(unit, clinic, new_patient(clinic, CAROL, mrn=" "))


def test_a_patients_own_number_is_no_duplicate(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, mrn_unique=True)
        patient = new_patient(clinic, CAROL, mrn="A1")
        unit.patients.add(patient)
        patient.mrn = "a1"
        register_mrn(unit, clinic, patient)
        assert (patient.mrn_key, patient.require_unique_mrn) == ("a1", True)


def test_patients_are_sought_within_the_clinic(database: Database) -> None:
    with storing(database) as unit:
        clinic, other = make_clinic(unit), make_clinic(unit)
        make_patient(unit, other, CAROL)
    with storing(database) as unit:
        assert unit.patients.find(clinic.id, CAROL.id) is None
        assert not unit.patients.is_patient(clinic.id, CAROL.id)
        with pytest.raises(PatientNotFound):
            unit.patients.get(clinic.id, CAROL.id)


def test_a_change_always_moves_the_time_on(database: Database) -> None:
    with storing(database) as unit:
        ahead = unit.now + timedelta(hours=1)
        patient = make_patient(unit, make_clinic(unit), CAROL, updated_time=ahead)
        unit.patients.touch(patient)
        assert patient.updated_time == ahead + timedelta(milliseconds=1)
