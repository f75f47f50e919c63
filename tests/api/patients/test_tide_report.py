"""TideReport: GET /v1/clinics/{clinicId}/tide_report — who may ask, bad input, and what an answer consists of."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Patient, Review, Tag
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_data_source,
    make_patient,
    make_tag,
    storing,
    tag_patient,
)
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries
from tests.support.tide import CUTOFF, DEFAULTS, OTHERS, YESTERDAY, Tide, cgm, dates
from tests.support.units import everything

CANARY = "kanarie4711"
NOBODY: dict[str, list[Any]] = {category: [] for category in [*DEFAULTS, "noData"]}
FIGURES = {
    "averageGlucoseMmol": 8.42,
    "glucoseManagementIndicator": 6.94,
    "timeCGMUseMinutes": 18545,
    "timeCGMUsePercent": 0.9199,
    "timeInVeryLowPercent": 0.0124,
    "timeInAnyLowPercent": 0.0375,
    "timeInLowPercent": 0.0251,
    "timeInTargetPercent": 0.6827,
    "timeInHighPercent": 0.2,
    "timeInVeryHighPercent": 0.0798,
    "timeInExtremeHighPercent": 0.0081,
    "timeInAnyHighPercent": 0.2798,
    "timeInTargetPercentDelta": -0.0312,
}


@pytest.fixture
def tide(api: Client, database: Database) -> Tide:
    return Tide(api, database)


def enrol(unit: UnitOfWork, tide: Tide, person: Somebody, *tags: Tag, **values: Any) -> Patient:
    patient = make_patient(unit, tide.clinic, person, **values)
    tag_patient(unit, patient, tide.pump, *tags)
    return patient


class TestAnswer:
    def test_says_what_was_asked_and_what_always_holds(self, tide: Tide) -> None:
        reply = tide.ask()
        assert reply.status == 200
        assert reply.json["config"] == {
            "schemaVersion": 2,
            "clinicId": tide.clinic.id,
            "period": "14d",
            "lastDataCutoff": "2026-02-16T00:00:00.000Z",
            "tags": [tide.pump.id],
            "veryLowGlucoseThreshold": 3.0,
            "lowGlucoseThreshold": 3.9,
            "highGlucoseThreshold": 10.0,
            "veryHighGlucoseThreshold": 13.9,
            "extremeHighGlucoseThreshold": 19.4,
            "filters": {
                "timeInVeryLowPercent": ">0.01",
                "timeInAnyLowPercent": ">0.04",
                "dropInTimeInTargetPercent": "<-0.15",
                "timeInTargetPercent": "<0.7",
                "timeCGMUsePercent": "<0.7",
            },
        }

    def test_the_config_repeats_the_question(self, tide: Tide) -> None:
        tags = [tide.tag("Pregnant").id, tide.pump.id]
        cutoff = "2026-02-16T05:30:00.5+05:30"
        config = tide.ask("", BOB, period="7d", tags=tags, lastDataCutoff=cutoff, categories=OTHERS).json["config"]
        assert (config["period"], config["tags"]) == ("7d", tags)
        assert config["lastDataCutoff"] == "2026-02-16T00:00:00.500Z"
        # Always the same five, whatever was asked.
        assert config["filters"] == tide.ask().json["config"]["filters"]

    def test_shows_all_that_is_known_of_a_patient(self, tide: Tide, database: Database) -> None:
        with storing(database) as unit:
            tag = make_tag(unit, tide.clinic, "Pregnant")
            carol = enrol(unit, tide, CAROL, tag, mrn="A1")
            carol.reviews = [Review(BOB.id, YESTERDAY), Review(ALICE.id, LONG_AGO)]
            make_data_source(unit, carol, "dexcom", data_source_id="a" * 24, modified_time=LONG_AGO)
            make_data_source(unit, carol, "twiist", state="error")
            figures = {**cgm_stats(Random(1), periods=["14d"])["periods"]["14d"], **FIGURES}
            stats = cgm_stats(Random(1), periods=["30d"], dates={**cgm({})["dates"]})
            stats["periods"]["14d"] = figures
            put_summaries(unit, CAROL, cgmStats=stats, bgmStats=bgm_stats(Random(2)))
        [entry] = tide.ask().json["results"]["timeInVeryLowPercent"]
        assert entry == {
            "patient": {
                "id": CAROL.id,
                "fullName": CAROL.name,
                "email": CAROL.email,
                "tags": [tide.pump.id, tag.id],
                "reviews": [
                    {"clinicianId": BOB.id, "time": "2026-03-01T12:00:00.000Z"},
                    {"clinicianId": ALICE.id, "time": "2026-01-05T08:30:00.000Z"},
                ],
                "dataSources": [
                    {
                        "providerName": "dexcom",
                        "state": "connected",
                        "dataSourceId": "a" * 24,
                        "modifiedTime": "2026-01-05T08:30:00.000Z",
                    },
                    {"providerName": "twiist", "state": "error"},
                ],
            },
            "lastData": "2026-03-01T12:00:00.000Z",
            **FIGURES,
        }

    def test_leaves_out_what_is_not_known(self, tide: Tide, database: Database) -> None:
        with storing(database) as unit:
            enrol(unit, tide, CAROL, full_name=None, email=None)
            enrol(unit, tide, DAVE, full_name=None, email=None, data_sources_set=True)
        tide.have(sparse={"timeInVeryLowPercent": 0.02})
        results = tide.ask().json["results"]
        nothing = {"tags": [tide.pump.id], "reviews": []}
        assert results["noData"] == [
            {"patient": {"id": CAROL.id, "dataSources": None, **nothing}},
            {"patient": {"id": DAVE.id, "dataSources": [], **nothing}},
        ]
        [sparse] = results["timeInVeryLowPercent"]
        del sparse["patient"]
        assert sparse == {"timeInVeryLowPercent": 0.02, "lastData": "2026-03-01T12:00:00.000Z"}

    def test_zeros_are_known_figures(self, tide: Tide) -> None:
        zeros = dict.fromkeys(FIGURES, 0)
        tide.have(still=zeros)
        [entry] = tide.ask().json["results"]["timeCGMUsePercent"]
        assert {name: entry[name] for name in FIGURES} == zeros

    def test_shows_the_figures_of_the_asked_period_of_cgm(self, tide: Tide) -> None:
        summary, others = cgm({"timeInVeryLowPercent": 0.02}, period="7d"), cgm({"timeInVeryLowPercent": 0.5})
        summary["periods"] |= dict.fromkeys(("1d", "14d", "30d"), others["periods"]["14d"])
        meter = {**summary, "periods": dict.fromkeys(summary["periods"], others["periods"]["14d"])}
        tide.add("a", cgm=summary, bgm=meter, tags=[tide.pump])
        [entry] = tide.ask("", BOB, period="7d").json["results"]["timeInVeryLowPercent"]
        assert entry["timeInVeryLowPercent"] == 0.02

    def test_whoever_has_no_recent_data_is_shown_with_what_there_is(self, tide: Tide) -> None:
        old = CUTOFF - timedelta(days=30)
        tide.add("a", cgm=cgm({"averageGlucoseMmol": 7.5}, old), tags=[tide.pump])
        [entry] = tide.ask().json["results"]["noData"]
        assert (entry["averageGlucoseMmol"], entry["lastData"]) == (7.5, "2026-01-17T00:00:00.000Z")

    def test_of_a_clinic_without_patients(self, tide: Tide) -> None:
        assert tide.ask().json["results"] == NOBODY

    def test_only_the_clinic_that_was_asked_about_counts(self, tide: Tide, database: Database) -> None:
        """Neither patients of other clinics, nor what other clinics know of the same patients."""
        with storing(database) as unit:
            elsewhere = make_clinic(unit)
            for person in (CAROL, DAVE):
                patient = make_patient(unit, elsewhere, person)
                tag_patient(unit, patient, make_tag(unit, elsewhere, f"Tag of {person.name}"))
                put_summaries(unit, person, cgmStats=cgm_stats(Random(1), dates=dates(YESTERDAY)))
                make_data_source(unit, patient, "dexcom", state="error")
            enrol(unit, tide, CAROL)
        results = tide.ask().json["results"]
        [entry] = results.pop("noData")
        assert entry["patient"]["id"] == CAROL.id
        assert not any(results.values())

    def test_changes_nothing(self, tide: Tide, database: Database) -> None:
        tide.have(low={"timeInVeryLowPercent": 0.02})
        tide.read(old=CUTOFF - timedelta(days=1))
        before = everything(database)
        assert sum(map(len, tide.results().values())) == 2
        assert everything(database) == before


class TestWhoMayAsk:
    @pytest.mark.parametrize("somebody", [ALICE, BOB, SERVICE])
    def test_admins_members_and_services_may(self, tide: Tide, somebody: Somebody) -> None:
        assert tide.ask("", somebody).status == 200

    @pytest.mark.one_engine
    def test_needs_a_token(self, tide: Tide) -> None:
        assert_error(tide.ask("", None), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("query", ["", "period=x"])
    def test_nobody_else_may(self, tide: Tide, database: Database, query: str) -> None:
        """Neither members of another clinic, nor prescribers, nor the patients themselves; whatever they ask."""
        with storing(database) as unit:
            make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
            make_clinician(unit, tide.clinic, PETE, "PRESCRIBER")
            make_patient(unit, tide.clinic, CAROL)
        for somebody in (ERIN, PETE, CAROL, MALLORY):
            assert_error(tide.ask(query, somebody), 403)

    def test_rule_of_an_unknown_clinic_a_service_gets_an_empty_report(self, tide: Tide) -> None:
        tide.have(low={"timeInVeryLowPercent": 0.02})
        tide.path = f"/v1/clinics/{'0' * 24}/tide_report"
        reply = tide.ask("", SERVICE)
        assert (reply.status, reply.json["results"]) == (200, NOBODY)
        assert reply.json["config"]["clinicId"] == "0" * 24
        assert_error(tide.ask("", BOB), 403)


class TestCategoriesAsked:
    def test_rule_without_categories_there_are_the_default_ones(self, tide: Tide) -> None:
        assert list(tide.results()) == [*DEFAULTS, "noData"]

    def test_rule_an_empty_list_means_the_default_ones(self, tide: Tide) -> None:
        assert list(tide.results(categories="")) == [*DEFAULTS, "noData"]

    def test_only_the_asked_ones_are_there(self, tide: Tide) -> None:
        for category in (*DEFAULTS, *OTHERS):
            assert tide.results(categories=category) == {category: [], "noData": []}

    def test_rule_repeats_count_once(self, tide: Tide) -> None:
        tide.have(low={"timeInTargetPercent": 0.5})
        results = tide.results(categories=[*OTHERS, *OTHERS], excludeNoData="true")
        assert results == {"timeInTargetPercent": ["low"], "timeInExtremeHighPercent": []}

    def test_without_data_may_be_left_out(self, tide: Tide) -> None:
        tide.add("a", tags=[tide.pump])
        assert "noData" not in tide.results(excludeNoData="true")
        assert tide.without_data(excludeNoData="false") == ["a"]


class TestTags:
    def test_rule_patients_carry_all_the_tags(self, tide: Tide) -> None:
        other, third = tide.tag("Pregnant"), tide.tag("Insulin")
        low = cgm({"timeInVeryLowPercent": 0.02})
        for name, tags in (("both", [tide.pump, other]), ("all", [third, tide.pump, other]), ("one", [tide.pump])):
            tide.add(name, cgm=low, tags=tags)
            tide.add(f"{name} without data", tags=tags)
        tide.add("none", cgm=low)
        tide.add("none without data")
        for ids in ([tide.pump.id, other.id], [other.id, tide.pump.id]):
            results = tide.results(tags=ids)
            assert results["timeInVeryLowPercent"] == ["both", "all"]
            assert results["noData"] == ["both without data", "all without data"]
        assert tide.results()["timeInVeryLowPercent"] == ["both", "all", "one"]
        assert tide.results(tags=third.id)["noData"] == ["all without data"]

    def test_a_tag_of_another_clinic_or_of_none_is_carried_by_nobody(self, tide: Tide, database: Database) -> None:
        tide.have(low={"timeInVeryLowPercent": 0.02})
        tide.add("no data", tags=[tide.pump])
        with storing(database) as unit:
            foreign = make_tag(unit, make_clinic(unit), "Pump")
        for unknown in (foreign.id, "f" * 24):
            for tags in (unknown, [tide.pump.id, unknown]):
                assert tide.results(tags=tags) == NOBODY

    def test_a_repeated_tag_counts_once(self, tide: Tide) -> None:
        tide.have(low={"timeInVeryLowPercent": 0.02})
        reply = tide.ask("", BOB, tags=[tide.pump.id, tide.pump.id])
        assert reply.status == 200
        assert reply.json["config"]["tags"] == [tide.pump.id]
        assert len(reply.json["results"]["timeInVeryLowPercent"]) == 1
