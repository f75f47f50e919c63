"""MergeClinic: requests about one user that wait for a merge, or that a merge waits for. None of them is lost."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinician, DataSource, Patient, PatientDeletion
from clinic_service.resources.merges.execution import merge_clinics
from clinic_service.resources.patients import data_sources
from clinic_service.resources.summaries import service
from clinic_service.resources.summaries.projection import given_summaries
from clinic_service.resources.summaries.reconcile import compare
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import CAROL, DAVE, ERIN, SERVICE
from tests.support.client import Client, Reply
from tests.support.merges import Pair, make_pair
from tests.support.rows import make_account, make_clinician, make_patient, stored, storing
from tests.support.summaries import cgm_stats, documents, put_summaries
from tests.support.units import meanwhile

OLD, NEW = cgm_stats(Random(1)), cgm_stats(Random(2))
Call = Callable[[Client], Reply]


@pytest.fixture
def pair(database: Database) -> Pair:
    """Carol is a patient of the source, Dave of both clinics, and Erin a member of the source."""
    with storing(database) as unit:
        made = make_pair(unit)
        source, target = (unit.clinics.get(clinic_id) for clinic_id in made)
        for person in (CAROL, DAVE, ERIN):
            make_account(unit, person)
        for person, clinic in ((CAROL, source), (DAVE, source), (DAVE, target)):
            make_patient(unit, clinic, person)
        make_clinician(unit, source, ERIN)
        for person in (CAROL, DAVE):
            put_summaries(unit, person, cgmStats=OLD)
        return made


def during_the_merge(database: Database, pair: Pair, call: Callable[[], Reply]) -> Reply:
    def merge(unit: UnitOfWork) -> None:
        merge_clinics(unit, pair.source, pair.target, None)

    return meanwhile(database, merge, call)


@pytest.mark.parametrize("person", [CAROL, DAVE])
class TestSummaries:
    def test_an_update_reaches_the_record_where_it_is_now(
        self, api: Client, database: Database, pair: Pair, person: Any
    ) -> None:
        path = f"/v1/patients/{person.id}/summary"
        reply = during_the_merge(database, pair, lambda: api.post(path, as_=SERVICE, json={"cgmStats": NEW}))
        assert reply.status == 200
        assert documents(database, person) == {(pair.target, "cgm"): NEW}
        assert list(compare(database)) == []

    def test_a_removal_reaches_the_record_where_it_is_now(
        self, api: Client, database: Database, pair: Pair, person: Any
    ) -> None:
        path = f"/v1/summaries/{OLD['id']}/clinics"
        reply = during_the_merge(database, pair, lambda: api.delete(path, as_=SERVICE))
        assert reply.status == 200
        assert documents(database, person) == {}
        assert list(compare(database)) == []

    def test_an_update_that_is_under_way_is_moved_as_well(
        self, api: Client, database: Database, pair: Pair, person: Any
    ) -> None:
        def update(unit: UnitOfWork) -> None:
            service.update_summaries(unit, person.id, given_summaries({"cgmStats": NEW}))

        reply = meanwhile(database, update, lambda: api.post(pair.path, as_=SERVICE, json=pair.body))
        assert reply.status == 200
        assert documents(database, person) == {(pair.target, "cgm"): NEW}
        assert list(compare(database)) == []

    def test_a_removal_that_is_under_way_stays_one(
        self, api: Client, database: Database, pair: Pair, person: Any
    ) -> None:
        def remove(unit: UnitOfWork) -> None:
            assert service.remove_summary(unit, OLD["id"])

        reply = meanwhile(database, remove, lambda: api.post(pair.path, as_=SERVICE, json=pair.body))
        assert reply.status == 200
        assert documents(database, person) == {}
        assert list(compare(database)) == []


class TestDataSources:
    SOURCES = ({"providerName": "dexcom", "state": "connected"},)

    def test_reach_the_record_where_it_is_now(self, api: Client, database: Database, pair: Pair) -> None:
        path = f"/v1/patients/{CAROL.id}/data_sources"
        reply = during_the_merge(database, pair, lambda: api.put(path, as_=SERVICE, json=list(self.SOURCES)))
        assert reply.status == 200
        assert [source.clinic_id for source in stored(database, DataSource)] == [pair.target]

    def test_that_are_under_way_are_moved_as_well(self, api: Client, database: Database, pair: Pair) -> None:
        def update(unit: UnitOfWork) -> None:
            data_sources.update_everywhere(
                unit, CAROL.id, [{"provider_name": "dexcom", "state": "connected", "data_source_id": None}]
            )

        reply = meanwhile(database, update, lambda: api.post(pair.path, as_=SERVICE, json=pair.body))
        assert reply.status == 200
        assert [source.clinic_id for source in stored(database, DataSource)] == [pair.target]


class TestUsers:
    @pytest.mark.parametrize("person", [CAROL, DAVE, ERIN])
    def test_who_is_removed_from_all_clinics_is_in_neither(
        self, api: Client, database: Database, pair: Pair, person: Any
    ) -> None:
        path = f"/v1/users/{person.id}/clinics"
        reply = during_the_merge(database, pair, lambda: api.delete(path, as_=SERVICE))
        assert reply.status == 200
        assert person.id not in {one.user_id for one in stored(database, Patient)}
        assert person.id not in {one.user_id for one in stored(database, Clinician)}
        if person is not ERIN:
            assert person.id in {one.user_id for one in stored(database, PatientDeletion)}

    @pytest.mark.parametrize("person", [CAROL, ERIN])
    def test_a_new_address_reaches_the_record_where_it_is_now(
        self, api: Client, database: Database, pair: Pair, person: Any
    ) -> None:
        path, body = f"/v1/users/{person.id}/clinics", {"email": "new@mail.example"}
        reply = during_the_merge(database, pair, lambda: api.post(path, as_=SERVICE, json=body))
        assert reply.status == 204
        rows: list[Any] = [*stored(database, Patient), *stored(database, Clinician)]
        assert {(one.clinic_id, one.email) for one in rows if one.user_id == person.id} == {
            (pair.target, "new@mail.example")
        }
