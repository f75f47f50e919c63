"""The rules of CreatePatientTag and CreateSite."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.labels.kinds import LabelTests
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_staffed_clinic, stored, storing
from tests.support.tags_and_sites import clinic_time
from tests.support.units import meanwhile, number_of_statements


class LabelCreation(LabelTests):
    @pytest.fixture
    def clinic_id(self, database: Database) -> str:
        with storing(database) as unit:
            return make_staffed_clinic(unit).id

    def post(self, api: Client, clinic_id: str, body: Any = ..., as_: Somebody | None = ALICE) -> Reply:
        return api.post(f"/v1/clinics/{clinic_id}/{self.kind.path}", as_=as_, json=body)

    def create(self, api: Client, clinic_id: str, name: str, as_: Somebody | None = ALICE) -> Reply:
        return self.post(api, clinic_id, {"name": name}, as_)

    @pytest.mark.parametrize("caller", [ALICE, SERVICE])
    def test_adds_a_label(self, api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
        reply = self.create(api, clinic_id, "Pump", caller)
        (label,) = stored(database, self.kind.model)
        assert (reply.status, reply.json) == (200, {"id": label.id, "name": "Pump", "numPatients": 0})
        assert (label.clinic_id, label.name, label.name_key) == (clinic_id, "Pump", "pump")

    def test_the_clinic_shows_it_and_has_changed(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            other = make_clinic(unit).id
        label = self.create(api, clinic_id, "Pump").json
        shown = api.get(f"/v1/clinics/{clinic_id}", as_=BOB).json
        assert shown[self.kind.member_of_clinic] == [label]
        assert shown["updatedTime"] == "2026-03-02T09:30:00.000Z"
        assert clinic_time(database, other) == LONG_AGO
        assert stored(database, OutboxEntry) == []

    def test_the_time_of_the_clinic_never_goes_back(self, api: Client, database: Database, clinic_id: str) -> None:
        with clock.frozen(LONG_AGO.replace(year=2020)):
            self.create(api, clinic_id, "Pump")
        assert clinic_time(database, clinic_id) == LONG_AGO

    def test_the_longest_name_is_accepted(self, api: Client, clinic_id: str) -> None:
        name = "x" * self.kind.longest_name
        assert self.create(api, clinic_id, name).json["name"] == name
        assert_error(self.create(api, clinic_id, f"{name}x"), 400)

    @pytest.mark.parametrize("name", ["Pump ", "Pump   "])
    def test_spaces_at_the_end_are_removed(self, api: Client, database: Database, clinic_id: str, name: str) -> None:
        assert self.create(api, clinic_id, name).json["name"] == "Pump"
        assert_error(self.create(api, clinic_id, name), 409)
        assert self.names(database, clinic_id) == ["Pump"]

    def test_other_members_of_the_body_are_ignored(self, api: Client, database: Database, clinic_id: str) -> None:
        body = {"id": "a" * 24, "name": "Pump", "numPatients": 7, "colour": "red"}
        reply = self.post(api, clinic_id, body)
        assert (reply.status, reply.json["numPatients"]) == (200, 0)
        assert stored(database, self.kind.model)[0].id == reply.json["id"] != "a" * 24

    @pytest.mark.parametrize("name", ["North Side", "NORTH SIDE", "north side "])
    def test_a_name_that_differs_in_case_only_is_taken(
        self, api: Client, database: Database, clinic_id: str, name: str
    ) -> None:
        assert self.create(api, clinic_id, "North Side").status == 200
        assert_error(self.create(api, clinic_id, name), 409)
        assert self.names(database, clinic_id) == ["North Side"]

    @pytest.mark.parametrize(
        ("first", "second"),
        [("ΟΔΟΣ", "οδος"), ("Straße", "STRASSE"), ("Ångström", "\u212bngström"), ("한글", normalize("NFD", "한글"))],
    )
    def test_names_are_compared_in_their_folded_form(
        self, api: Client, database: Database, clinic_id: str, first: str, second: str
    ) -> None:
        assert self.create(api, clinic_id, first).status == 200
        assert_error(self.create(api, clinic_id, second), 409)
        assert self.names(database, clinic_id) == [first]

    def test_names_are_unique_within_the_clinic_only(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            self.make(unit, make_clinic(unit), "Pump")
        assert self.create(api, clinic_id, "Pump").status == 200

    def test_the_constraint_refuses_equal_names(self, database: Database, clinic_id: str) -> None:
        def add_both() -> None:
            with storing(database) as unit:
                self.kind.repository(unit).add(clinic_id, "Straße")
                self.kind.repository(unit).add(clinic_id, "STRASSE")

        with pytest.raises(self.kind.duplicate_name):
            add_both()
        assert stored(database, self.kind.model) == []

    def test_a_clinic_has_at_most_50(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            self.make_numbered(unit, unit.clinics.get(clinic_id), range(49))
            self.make_numbered(unit, make_clinic(unit), range(3))
        assert self.create(api, clinic_id, "Label 49").status == 200
        assert_error(self.create(api, clinic_id, "Label 50"), 422)
        assert len(self.names(database, clinic_id)) == 50

    def test_of_two_requests_for_the_last_one_one_succeeds(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        with storing(database) as unit:
            self.make_numbered(unit, unit.clinics.get(clinic_id), range(49))
        reply = meanwhile(
            database,
            lambda unit: self.kind.create(unit, clinic_id, "Mine"),
            lambda: self.create(api, clinic_id, "Yours"),
        )
        assert_error(reply, 422)
        assert self.names(database, clinic_id)[49:] == ["Mine"]

    def test_of_two_requests_with_one_name_one_succeeds(self, api: Client, database: Database, clinic_id: str) -> None:
        reply = meanwhile(
            database,
            lambda unit: self.kind.create(unit, clinic_id, "North Side"),
            lambda: self.create(api, clinic_id, "north side"),
        )
        assert_error(reply, 409)
        assert self.names(database, clinic_id) == ["North Side"]

    @pytest.mark.one_engine
    @pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": " Pump"}, {"name": 5}, {"name": None}, [], None])
    def test_bodies_that_break_the_spec_are_refused(
        self, api: Client, database: Database, clinic_id: str, body: Any
    ) -> None:
        assert_error(self.post(api, clinic_id, body), 400)
        assert stored(database, self.kind.model) == []

    @pytest.mark.one_engine
    def test_absent_bodies_and_malformed_ids_are_refused(self, api: Client, clinic_id: str) -> None:
        assert_violations(self.post(api, clinic_id), ("/body", "required"))
        assert_violations(self.create(api, "A" * 24, "Pump", SERVICE), ("/path/clinicId", "pattern"))

    @pytest.mark.one_engine
    def test_needs_a_token(self, api: Client, clinic_id: str) -> None:
        assert_error(self.create(api, clinic_id, "Pump", None), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY])
    def test_is_refused_to_others(self, api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
        with storing(database) as unit:
            make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
            make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
        assert_error(self.create(api, clinic_id, "Pump", caller), 403)
        assert stored(database, self.kind.model) == []

    def test_unknown_clinics_are_not_found(self, api: Client) -> None:
        assert_error(self.create(api, "0" * 24, "Pump", SERVICE), 404)

    def test_the_number_of_statements_is_fixed(self, api: Client, database: Database, clinic_id: str) -> None:
        first = number_of_statements(database, lambda: self.create(api, clinic_id, "First"))
        with storing(database) as unit:
            self.make_numbered(unit, unit.clinics.get(clinic_id), range(30))
        # Access, lock, names, insert, the clinic's time, and what is shown.
        assert number_of_statements(database, lambda: self.create(api, clinic_id, "Second")) == first == 6
