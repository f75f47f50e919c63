"""The rules of UpdatePatientTag and UpdateSite."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.clocks import NOW
from tests.support.errors import assert_error, assert_violations
from tests.support.labels.kinds import LabelPlace, LabelTests
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_patient, make_staffed_clinic, stored, storing
from tests.support.tags_and_sites import clinic_time, patient_times
from tests.support.units import meanwhile, number_of_statements


class LabelRenaming(LabelTests):
    statements: ClassVar[int]

    @pytest.fixture
    def place(self, database: Database) -> LabelPlace:
        """A clinic with a label that Carol has, and Dave does not."""
        with storing(database) as unit:
            clinic = make_staffed_clinic(unit)
            label = self.make(unit, clinic, "North Side")
            self.kind.give_to_patient(unit, make_patient(unit, clinic, CAROL), label)
            make_patient(unit, clinic, DAVE)
            return LabelPlace(clinic.id, label.id)

    def put(self, api: Client, place: LabelPlace, body: Any = ..., as_: Somebody | None = ALICE) -> Reply:
        return api.put(f"/v1/clinics/{place.clinic_id}/{self.kind.path}/{place.label_id}", as_=as_, json=body)

    def rename(self, api: Client, place: LabelPlace, name: str, as_: Somebody | None = ALICE) -> Reply:
        return self.put(api, place, {"id": place.label_id, "name": name}, as_)

    @pytest.mark.parametrize("caller", [ALICE, SERVICE])
    def test_changes_the_name(self, api: Client, database: Database, place: LabelPlace, caller: Somebody) -> None:
        reply = self.rename(api, place, "Pregnant ", caller)
        assert (reply.status, reply.json) == (200, {"id": place.label_id, "name": "Pregnant", "numPatients": 1})
        (label,) = stored(database, self.kind.model)
        assert (label.name, label.name_key) == ("Pregnant", "pregnant")
        assert clinic_time(database, place.clinic_id) == NOW
        assert stored(database, OutboxEntry) == []

    def test_patients_keep_the_label(self, api: Client, database: Database, place: LabelPlace) -> None:
        self.rename(api, place, "Pregnant")
        shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
        assert self.kind.ids_of_patient(shown) == [place.label_id]
        assert self.patients_with(database, place.label_id) == {CAROL.id}

    @pytest.mark.parametrize(
        "body", [{"name": "New"}, {"id": "a" * 24, "name": "New"}, {"name": "New", "numPatients": 9}]
    )
    def test_rule_the_path_decides_which_label_it_is(
        self, api: Client, database: Database, place: LabelPlace, body: Any
    ) -> None:
        """Rule: the id may be left out of the body; a different one is ignored."""
        reply = self.put(api, place, body)
        assert (reply.status, reply.json["id"], reply.json["numPatients"]) == (200, place.label_id, 1)
        assert self.names(database, place.clinic_id) == ["New"]

    def test_the_id_of_another_label_in_the_body_is_ignored(
        self, api: Client, database: Database, place: LabelPlace
    ) -> None:
        with storing(database) as unit:
            other = self.make(unit, unit.clinics.get(place.clinic_id), "Other")
        assert self.put(api, place, {"id": other.id, "name": "New"}).status == 200
        assert self.names(database, place.clinic_id) == ["New", "Other"]

    def test_what_get_clinic_shows_is_accepted(self, api: Client, place: LabelPlace) -> None:
        (label,) = api.get(f"/v1/clinics/{place.clinic_id}", as_=BOB).json[self.kind.member_of_clinic]
        reply = self.put(api, place, label)
        assert (reply.status, reply.json) == (200, label)

    def test_the_case_of_the_own_name_can_be_changed(self, api: Client, database: Database, place: LabelPlace) -> None:
        assert self.rename(api, place, "NORTH side").json["name"] == "NORTH side"
        assert self.names(database, place.clinic_id) == ["NORTH side"]

    @pytest.mark.parametrize("name", ["North Side", "North Side  "])
    def test_the_own_name_changes_nothing(self, api: Client, database: Database, place: LabelPlace, name: str) -> None:
        reply = self.rename(api, place, name)
        assert (reply.status, reply.json["name"]) == (200, "North Side")
        assert clinic_time(database, place.clinic_id) == LONG_AGO
        assert set(patient_times(database).values()) == {LONG_AGO}

    @pytest.mark.parametrize("name", ["Harbour", "HARBOUR", "harbour "])
    def test_the_name_of_another_label_is_refused(
        self, api: Client, database: Database, place: LabelPlace, name: str
    ) -> None:
        with storing(database) as unit:
            self.make(unit, unit.clinics.get(place.clinic_id), "Harbour")
        assert_error(self.rename(api, place, name), 409)
        assert self.names(database, place.clinic_id) == ["North Side", "Harbour"]
        assert clinic_time(database, place.clinic_id) == LONG_AGO
        assert patient_times(database)[CAROL.id] == LONG_AGO

    def test_the_constraint_refuses_equal_names(self, database: Database, place: LabelPlace) -> None:
        def take_the_name() -> None:
            with storing(database) as unit:
                labels = self.kind.repository(unit)
                labels.rename(labels.add(place.clinic_id, "Harbour"), "NORTH SIDE")

        with pytest.raises(self.kind.duplicate_name):
            take_the_name()
        assert self.names(database, place.clinic_id) == ["North Side"]

    def test_works_at_the_limit(self, api: Client, database: Database, place: LabelPlace) -> None:
        with storing(database) as unit:
            self.make_numbered(unit, unit.clinics.get(place.clinic_id), range(49))
        assert self.rename(api, place, "Last").status == 200

    def test_of_two_requests_with_one_name_one_succeeds(
        self, api: Client, database: Database, place: LabelPlace
    ) -> None:
        reply = meanwhile(
            database,
            lambda unit: self.kind.create(unit, place.clinic_id, "Harbour"),
            lambda: self.rename(api, place, "harbour"),
        )
        assert_error(reply, 409)
        assert self.names(database, place.clinic_id) == ["North Side", "Harbour"]

    def test_a_label_that_is_deleted_at_the_same_time_is_not_found(
        self, api: Client, database: Database, place: LabelPlace
    ) -> None:
        reply = meanwhile(
            database,
            lambda unit: self.kind.delete(unit, place.clinic_id, place.label_id),
            lambda: self.rename(api, place, "Harbour"),
        )
        assert_error(reply, 404)
        assert self.names(database, place.clinic_id) == []

    @pytest.mark.one_engine
    @pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": " a"}, {"name": 1}, [], "Pump", None])
    def test_bodies_that_break_the_spec_are_refused(
        self, api: Client, database: Database, place: LabelPlace, body: Any
    ) -> None:
        assert_error(self.put(api, place, body), 400)
        assert self.names(database, place.clinic_id) == ["North Side"]

    def test_names_that_are_too_long_are_refused(self, api: Client, place: LabelPlace) -> None:
        longest = "x" * self.kind.longest_name
        assert_error(self.rename(api, place, f"{longest}x"), 400)
        assert self.rename(api, place, longest).json["name"] == longest

    @pytest.mark.one_engine
    def test_absent_bodies_and_malformed_ids_are_refused(self, api: Client, place: LabelPlace) -> None:
        assert_violations(self.put(api, place), ("/body", "required"))
        malformed = place._replace(label_id="A" * 24)
        assert_violations(self.put(api, malformed, {"name": "Pump"}), (f"/path/{self.kind.path_id}", "pattern"))

    @pytest.mark.one_engine
    def test_needs_a_token(self, api: Client, place: LabelPlace) -> None:
        assert_error(self.rename(api, place, "Harbour", None), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY, CAROL])
    def test_is_refused_to_others(self, api: Client, database: Database, place: LabelPlace, caller: Somebody) -> None:
        with storing(database) as unit:
            make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
            make_clinician(unit, unit.clinics.get(place.clinic_id), PETE, "PRESCRIBER")
        assert_error(self.rename(api, place, "Harbour", caller), 403)
        assert self.names(database, place.clinic_id) == ["North Side"]

    def test_unknown_clinics_and_labels_are_not_found(self, api: Client, database: Database, place: LabelPlace) -> None:
        with storing(database) as unit:
            elsewhere = self.make(unit, make_clinic(unit), "Elsewhere")
        assert_error(self.rename(api, place._replace(clinic_id="0" * 24), "Harbour", SERVICE), 404)
        assert_error(self.rename(api, place._replace(label_id="0" * 24), "Harbour"), 404)
        # A label of another clinic, and a name that is taken in this clinic: 404 comes first.
        assert_error(self.rename(api, place._replace(label_id=elsewhere.id), "North Side"), 404)
        assert self.names(database, elsewhere.clinic_id) == ["Elsewhere"]

    def test_the_number_of_statements_is_fixed(self, api: Client, database: Database, place: LabelPlace) -> None:
        first = number_of_statements(database, lambda: self.rename(api, place, "First"))
        with storing(database) as unit:
            clinic = unit.clinics.get(place.clinic_id)
            label = self.kind.repository(unit).get(place.clinic_id, place.label_id)
            self.make_numbered(unit, clinic, range(20))
            for number in range(20):
                self.kind.give_to_patient(unit, make_patient(unit, clinic, ERIN, user_id=f"{number:010x}"), label)
        assert number_of_statements(database, lambda: self.rename(api, place, "Second")) == first == self.statements
