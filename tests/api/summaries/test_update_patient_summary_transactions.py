"""UpdatePatientSummary is one transaction, also beside other requests."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Patient
from clinic_service.models.statistics import TYPES
from clinic_service.resources.summaries import service
from clinic_service.unit_of_work import UnitOfWork
from tests.api.summaries.steps import ID, NOW, Clinics, full, shown, summary_at, times, update
from tests.support.cast import CAROL, DAVE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import make_clinic, make_patient, stored, storing
from tests.support.summaries import bgm_stats, cgm_stats, documents, put_summaries, statistics
from tests.support.units import assert_all_or_nothing, meanwhile, number_of_statements


class TestTransactions:
    @pytest.mark.usefixtures("clinics")
    def test_all_or_nothing(self, api: Client, database: Database, random: Random) -> None:
        with storing(database) as unit:
            put_summaries(unit, CAROL, **full(random))
        body = {"cgmStats": cgm_stats(random, periods=("1d", "14d")), "bgmStats": bgm_stats(random)}
        # The clinics, two locks, what is known, summaries, documents, figures, vanished periods, list index, the
        # records' times, outbox.
        assert_all_or_nothing(database, lambda: update(api, body), statements=11)
        # The clinics, two locks, what is known, figures, summaries, list index emptied and removed, the records' times,
        # outbox.
        assert_all_or_nothing(database, lambda: update(api), statements=10)

    @pytest.mark.usefixtures("clinics")
    def test_only_the_locks_grow_with_the_clinics(self, api: Client, database: Database, random: Random) -> None:
        def sent() -> list[int]:
            return [number_of_statements(database, lambda b=body: update(api, b)) for body in (full(random), {}, ...)]  # type: ignore[misc]

        few = sent()
        with storing(database) as unit:
            clinics = [make_clinic(unit) for _ in range(20)]
            for clinic in clinics:
                make_patient(unit, clinic, CAROL)
            for number in range(20):
                person = Somebody(f"{number:010x}", f"Patient {number}", f"{number}@mail.example")
                make_patient(unit, clinics[0], person)
                put_summaries(unit, person, **full(random))
        assert few == [10, 5, 10]
        assert sent() == [number + 20 for number in few]

    def test_very_many_clinics_are_served_in_batches(self, api: Client, database: Database, random: Random) -> None:
        with storing(database) as unit:
            for _ in range(101):
                make_patient(unit, make_clinic(unit), CAROL)
        body = full(random, periods=("14d",))
        assert update(api, body).status == 200
        assert len(documents(database, CAROL)) == len(statistics(database, CAROL)) == 202
        assert set(times(database).values()) == {NOW}

    def test_of_two_updates_at_once_the_later_one_stands(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        before, after = full(random), {"cgmStats": cgm_stats(random, periods=("7d",))}
        reply = meanwhile(database, lambda unit: put_summaries(unit, CAROL, **before), lambda: update(api, after))
        assert reply.status == 200
        for clinic_id in clinics:
            assert shown(api, clinic_id) == {**after, "bgmStats": before["bgmStats"]}
            assert (clinic_id, "cgm14d") not in statistics(database, CAROL)
        # Both moved the time, at one moment.
        assert set(times(database).values()) == {NOW + timedelta(milliseconds=1)}

    def test_an_older_update_that_comes_meanwhile_is_dropped(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        newer, older = (summary_at(random, hours) for hours in (1, 2))
        reply = meanwhile(
            database,
            lambda unit: put_summaries(unit, CAROL, cgmStats=newer),
            lambda: update(api, {"cgmStats": older}),
        )
        assert reply.status == 200
        assert shown(api, clinics.second) == {"cgmStats": newer}

    def test_a_patient_who_is_removed_meanwhile_gets_nothing(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        def remove(unit: UnitOfWork) -> None:
            unit.patients.remove([unit.patients.lock(clinics.first, CAROL.id)], None)

        assert meanwhile(database, remove, lambda: update(api, full(random))).status == 200
        assert {clinic_id for clinic_id, _ in documents(database, CAROL)} == {clinics.second}
        assert {row.clinic_id for row in stored(database, Patient) if row.user_id == CAROL.id} == {clinics.second}

    def test_a_user_whose_last_record_is_removed_meanwhile_is_nobodys_patient(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        def remove(unit: UnitOfWork) -> None:
            unit.patients.remove([unit.patients.lock(clinics.first, DAVE.id)], None)

        assert meanwhile(database, remove, lambda: update(api, full(random), DAVE)).status == 204

    def test_a_removal_of_the_summary_that_comes_meanwhile_removes_the_new_one(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        with storing(database) as unit:
            put_summaries(unit, CAROL, **full(random, id=ID))
        reply = meanwhile(
            database,
            lambda unit: put_summaries(unit, CAROL, **full(random, id=ID)),
            lambda: api.delete(f"/v1/summaries/{ID}/clinics", as_=SERVICE),
        )
        assert reply.status == 200
        assert shown(api, clinics.first) is None
        assert statistics(database, CAROL) == {}

    def test_an_update_that_comes_while_the_summary_is_removed_is_stored(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        with storing(database) as unit:
            put_summaries(unit, CAROL, **full(random, id=ID))
        after = full(random, id=ID)
        for kind in TYPES:
            # An earlier state would be passed over by an update that comes before the removal ends.
            after[f"{kind}Stats"]["dates"]["lastUpdatedDate"] = "2027-01-01T00:00:00.000Z"
        reply = meanwhile(database, lambda unit: service.remove_summary(unit, ID), lambda: update(api, after))
        assert reply.status == 200
        assert shown(api, clinics.second) == after
        assert len(statistics(database, CAROL)) == 16

    def test_the_record_of_a_deletion_holds_the_summaries(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        update(api, body := full(random))
        with storing(database) as unit:
            (record,) = [unit.patients.describe_one(clinics.first, CAROL.id).children()]
            unit.patients.remove([unit.patients.lock(clinics.first, CAROL.id)], None)
        assert record["summaries"] == {kind: body[f"{kind}Stats"] for kind in TYPES}
        assert {clinic_id for clinic_id, _ in statistics(database, CAROL)} == {clinics.second}
