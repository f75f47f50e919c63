"""ListPatients: GET /v1/clinics/{clinicId}/patients — who may ask, bad input, and what an answer consists of."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Review
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.patient_lists import Ward
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_data_source,
    make_patient,
    make_site,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries
from tests.support.units import everything

CANARY = "kanarie4711"
REVIEWED = Review(BOB.id, datetime(2026, 2, 3, 10, tzinfo=UTC))
EMPTY = {"data": [], "meta": {"count": 0, "totalCount": 0}}


@pytest.fixture
def ward(api: Client, database: Database) -> Ward:
    return Ward(api, database)


class TestAnswer:
    def test_each_patient_is_shown_as_get_patient_shows_it(self, api: Client, database: Database, ward: Ward) -> None:
        """Rule: with everything that belongs to it, full summaries with all periods included."""
        random = Random(5)
        with storing(database) as unit:
            clinic = unit.clinics.get(ward.clinic.id)
            tags, sites = (
                [make_tag(unit, clinic, "Pump")],
                [make_site(unit, clinic, name) for name in ("North", "East")],
            )
            for person in (CAROL, DAVE):
                patient = make_patient(unit, clinic, person, "view", "upload", mrn="A1", reviews=[REVIEWED])
                patient.glycemic_ranges = {"type": "preset", "preset": "adaPregnancyType1"}
                tag_patient(unit, patient, *tags)
                place_patient(unit, patient, *sites)
                make_data_source(unit, patient, "dexcom")
                put_summaries(unit, person, cgmStats=cgm_stats(random), bgmStats=bgm_stats(random))
            make_patient(unit, clinic, ERIN, birth_date=None, full_name=None)
        reply = ward.ask()
        assert reply.status == 200
        people = (ERIN, CAROL, DAVE)
        assert reply.json["data"] == [api.get(f"{ward.path}/{person.id}", as_=BOB).json for person in people]
        assert reply.json["meta"] == {"count": 3, "totalCount": 3}
        carol = reply.json["data"][1]
        assert [set(stats["periods"]) for stats in carol["summary"].values()] == [{"1d", "7d", "14d", "30d"}] * 2
        assert len(carol["summary"]["cgmStats"]["periods"]["1d"]) >= 74 + 31
        assert (carol["tags"], [site["name"] for site in carol["sites"]]) == ([tags[0].id], ["North", "East"])
        assert "summary" not in reply.json["data"][0]

    def test_rule_period_does_not_trim_the_summaries(self, ward: Ward) -> None:
        ward.add("a", cgm=cgm_stats(Random(1)))
        [patient] = ward.ask("period=1d").json["data"]
        assert set(patient["summary"]["cgmStats"]["periods"]) == {"1d", "7d", "14d", "30d"}

    def test_rule_both_counts_are_there_even_when_they_are_zero(self, ward: Ward) -> None:
        assert ward.ask().json == EMPTY
        ward.add("a", "b")
        assert ward.ask("search=nobody").json == {"data": [], "meta": {"count": 0, "totalCount": 2}}
        assert ward.ask("search=a").json["meta"] == {"count": 1, "totalCount": 2}

    def test_only_the_clinic_that_was_asked_about_counts(self, database: Database, ward: Ward) -> None:
        with storing(database) as unit:
            make_patient(unit, make_clinic(unit), CAROL)
        ward.add("a")
        assert ward.listed() == ["a"]

    def test_changes_nothing(self, database: Database, ward: Ward) -> None:
        ward.add("a", "b", cgm=cgm_stats(Random(2)))
        before = everything(database)
        for query in ("", "search=a", "cgm.min=%3E1", "sort=-lastData&sortType=cgm"):
            assert ward.ask(query).status == 200
        assert everything(database) == before


class TestWhoMayAsk:
    @pytest.mark.parametrize("somebody", [ALICE, BOB, SERVICE])
    def test_admins_members_and_services_may(self, ward: Ward, somebody: Somebody) -> None:
        ward.add("a")
        assert ward.ask("", somebody).json["meta"]["count"] == 1

    @pytest.mark.one_engine
    def test_needs_a_token(self, ward: Ward) -> None:
        assert_error(ward.ask("", None), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("query", ["", "limit=0", "sort=x"])
    def test_nobody_else_may(self, database: Database, ward: Ward, query: str) -> None:
        """Neither members of another clinic, nor prescribers, nor the patients themselves; whatever they ask."""
        with storing(database) as unit:
            clinic = unit.clinics.get(ward.clinic.id)
            make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
            make_clinician(unit, clinic, PETE, "PRESCRIBER")
            make_patient(unit, clinic, CAROL)
        for somebody in (ERIN, PETE, CAROL, MALLORY):
            assert_error(ward.ask(query, somebody), 403)

    def test_rule_an_unknown_clinic_is_an_empty_list_for_a_service(self, api: Client, ward: Ward) -> None:
        ward.add("a")
        unknown = f"/v1/clinics/{'0' * 24}/patients"
        for query in ("", "search=a", "cgm.min=%3E1", "sort=-lastData&sortType=cgm", "tags=_"):
            reply = api.get(f"{unknown}?{query}", as_=SERVICE)
            assert (reply.status, reply.json) == (200, EMPTY)
        assert_error(api.get(unknown, as_=BOB), 403)


BAD: list[tuple[str, Any]] = [
    ("limit", "0"),
    ("limit", "-1"),
    ("limit", "1001"),
    ("limit", "1e2"),
    ("offset", "-1"),
    ("offset", "1.5"),
    ("sort", "fullName"),
    ("sort", "-"),
    ("sortType", "smbg"),
    ("sortType", "cgmx"),
    ("period", "2d"),
    ("period", "14D"),
    ("lastReviewed", "yesterday"),
    ("cgm.min", "3"),
    ("cgm.min", "=3"),
    ("cgm.min", ">"),
    ("cgm.min", "> 3"),
    ("cgm.min", ">3,1"),
    ("cgm.min", ">1e3"),
    ("cgm.min", ">nan"),
    ("cgm.min", "<>3"),
    ("bgm.timeInLowPercent", ">+-3"),
    ("cgm.totalRecords", ">1.5"),
    ("cgm.totalRecords", ">1."),
    ("bgm.totalRecordsDelta", ">-"),
    ("omitNonStandardRanges", "yes"),
    ("omitNonStandardRanges", "TRUE"),
    ("omitNonStandardRanges", "1"),
    ("tags", ",".join(["0" * 24] * 51)),
]
TIMES = ("lastReviewed", "cgm.lastDataFrom", "cgm.lastDataTo", "bgm.lastDataFrom", "bgm.lastDataTo")
# Every kind of parameter, with a value that is all right.
FINE = {
    "search": "x",
    "offset": "0",
    "limit": "10",
    "sort": "-fullName",
    "sortType": "cgm",
    "period": "7d",
    "omitNonStandardRanges": "true",
    "cgm.min": ">3.0",
    "bgm.totalRecordsDelta": "<-3",
    "tags": "_",
    "sites": "_",
    **dict.fromkeys(TIMES, "2026-02-03T10:00:00Z"),
}


class TestBadInput:
    @pytest.mark.one_engine
    @pytest.mark.parametrize(("name", "value"), BAD)
    def test_a_malformed_parameter_is_named(self, ward: Ward, name: str, value: str) -> None:
        reply = ward.ask({"sortType": "cgm", name: value})
        assert_error(reply, 400)
        # An item of a list is named by its place.
        assert [violation["pointer"].split("/")[:3] for violation in reply.json["errors"]] == [["", "query", name]]

    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", sorted(set(FINE) - {"search"}))
    def test_what_is_refused_is_not_repeated(self, ward: Ward, name: str) -> None:
        """Rule: a refusal names the parameter, never its value, which may be about a patient."""
        # Any item of a list of tags or sites is taken, but only so many.
        reply = ward.ask({"sortType": "cgm", name: CANARY if name not in ("tags", "sites") else f"{CANARY}," * 50})
        assert_error(reply, 400)
        assert name in str(reply.json)
        assert CANARY not in str(reply.json) + str(reply.headers)

    @pytest.mark.parametrize("name", sorted(FINE))
    def test_rule_a_repeated_parameter_is_refused(self, ward: Ward, name: str) -> None:
        pairs = [*FINE.items(), (name, FINE[name])]
        assert ward.ask(urlencode(FINE)).status == 200
        assert_violations(ward.ask(urlencode(pairs)), (f"/query/{name}", "repeated"))

    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", sorted(set(FINE) - {"search"}))
    def test_rule_an_empty_parameter_is_refused(self, ward: Ward, name: str) -> None:
        reply = ward.ask(urlencode({**FINE, name: ""}))
        assert_error(reply, 400)
        assert [violation["pointer"] for violation in reply.json["errors"]] == [f"/query/{name}"]

    def test_rule_an_empty_search_is_no_search(self, ward: Ward) -> None:
        ward.add("a", "b")
        assert ward.listed(search="") == ["a", "b"]

    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", TIMES)
    @pytest.mark.parametrize(
        "time", ["2026-02-03", "2026-02-31T10:00:00Z", "2026-02-03T10:00:00", "2026-02-03T25:00:00Z", "1770112800"]
    )
    def test_rule_a_time_is_a_possible_one_with_a_zone(self, ward: Ward, name: str, time: str) -> None:
        assert_violations(ward.ask({name: time}), (f"/query/{name}", "format"))

    def test_rule_a_page_has_a_thousand_patients_at_most(self, ward: Ward) -> None:
        ward.add("a")
        assert ward.listed(limit=1000) == ["a"]
        assert_violations(ward.ask("limit=1001"), ("/query/limit", "maximum"))

    def test_unknown_parameters_are_ignored(self, ward: Ward) -> None:
        ward.add("a")
        assert ward.listed({"cgm.hasMin": "true", "Search": "nobody", "x": ""}) == ["a"]


class TestBadSorts:
    @pytest.mark.one_engine
    @pytest.mark.parametrize("sort", ["+fullName", "-birthDate", "-lastData", "+timeInTargetPercent"])
    def test_rule_a_sort_needs_a_type_whatever_its_field(self, ward: Ward, sort: str) -> None:
        assert_violations(ward.ask({"sort": sort}), ("/query/sortType", "required"))

    def test_a_type_without_a_sort_has_no_effect(self, ward: Ward) -> None:
        ward.add("b", "a")
        assert ward.listed(sortType="bgm") == ["a", "b"]

    def test_rule_a_plus_sign_has_to_be_encoded(self, ward: Ward) -> None:
        assert_error(ward.ask("sort=+fullName&sortType=cgm"), 400)
        assert ward.ask("sort=%2BfullName&sortType=cgm").status == 200

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "sort",
        [
            *("x+fullName", "+fullName ", "+fullNameX", "+FullName", "+full_name", " +fullName", "++fullName"),
            *("+_", "+fullName,-birthDate", "+fullName\n", "+cgm.min", "-min;"),
        ],
    )
    def test_rule_nothing_may_stand_around_a_sort(self, ward: Ward, sort: str) -> None:
        """The published pattern lets it pass, and the list of fields does not."""
        assert_violations(ward.ask({"sort": sort, "sortType": "cgm"}), ("/query/sort", "enum"))
