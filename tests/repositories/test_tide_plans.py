"""A TIDE report about many patients reads each category along the index that is meant for it, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic
from clinic_service.models.list_index import INDEXED_VALUES, list_index_column
from clinic_service.models.statistics import CGM, FIELDS, column_name
from clinic_service.resources.patients.listing.planner import FEW
from clinic_service.resources.patients.tide.report import NO_DATA, TideQuery, find_tide_patients
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.support.crowds import connect_crowd, copy_crowd, make_crowd, summarize_crowd, tag_crowd
from tests.support.databases import clear
from tests.support.plans import Step, analyze, plans, rows_read
from tests.support.rows import make_clinic, make_tag, storing
from tests.support.statements import counting
from tests.support.tide import CUTOFF, DEFAULTS, NOW, OTHERS

PATIENTS, TAGGED, RARE = 2800, 2700, 40
OTHER_CLINICS, PATIENTS_ELSEWHERE = 14, 1000
# The column that each category is sorted by.
SORTED_BY = {name: list_index_column(CGM, name) for name in (*DEFAULTS, *OTHERS)} | {
    "dropInTimeInTargetPercent": "cgm_time_in_target_percent_delta",
    "meetingTargets": "cgm_time_in_target_percent",
}
_HIGHS_AND_LOWS = [f"timeIn{name}Percent" for name in ("VeryLow", "AnyLow", "VeryHigh", "AnyHigh", "ExtremeHigh")]
_FLAGS = {field.name: field.flag for field in FIELDS if field.flagged}


class Large(NamedTuple):
    """A clinic with a tag of most patients and one of a few, among others."""

    database: Database
    clinic_id: str
    tag_id: str
    rare_tag_id: str


@pytest.fixture(scope="module")
def large(shared_database: Database) -> Iterator[Large]:
    random = Random(1)
    with storing(shared_database) as unit:
        elsewhere = make_clinic(unit)
        populate(unit, elsewhere, PATIENTS_ELSEWHERE, PATIENTS_ELSEWHERE // 2, random)
        for _ in range(OTHER_CLINICS - 1):
            copy_crowd(unit, elsewhere, make_clinic(unit))
        clinic = make_clinic(unit)
        tag_id, ids = populate(unit, clinic, PATIENTS, TAGGED, random)
        rare = make_tag(unit, clinic, "Rare")
        tag_crowd(unit, rare, random.sample(ids, RARE))
    analyze(shared_database)
    yield Large(shared_database, clinic.id, tag_id, rare.id)
    clear(shared_database)


def populate(unit: UnitOfWork, clinic: Clinic, count: int, tagged: int, random: Random) -> tuple[str, list[str]]:
    ids = make_crowd(unit, clinic, count)
    tag = make_tag(unit, clinic, "Pump")
    tag_crowd(unit, tag, ids[:tagged])
    summarize_crowd(unit, clinic, "14d", {CGM: {one: newest_reading(random) | figures(random) for one in ids}})
    connect_crowd(unit, clinic, {patient_id: random.choice(("connected", "error")) for patient_id in ids[::5]})
    return tag.id, ids


def newest_reading(random: Random) -> dict[str, Any]:
    """Nine in ten have readings since the cutoff."""
    time = CUTOFF + random.randrange(-15, 130) * timedelta(hours=2) if random.random() > 0.02 else None
    return {"last_data": time, "has_last_data": time is not None}


def figures(random: Random) -> dict[str, float | bool]:
    """Half of the patients are well. Those who are not have enough of everything to be in any category."""
    well = random.random() < 0.5
    shares = {name: 0.0 if well else random.random() for name in _HIGHS_AND_LOWS}
    shares |= {name: random.uniform(0.7 if well else 0.3, 1) for name in ("timeInTargetPercent", "timeCGMUsePercent")}
    flags = {column_name(_FLAGS[name]): random.random() < 0.9 for name in shares}
    change = {"time_in_target_percent_delta": random.uniform(-0.5, 0.5)}
    return {column_name(name): value for name, value in shares.items()} | flags | change


def report(large: Large, query: TideQuery) -> dict[str, list[str]]:
    with reading(large.database) as unit, unit.snapshot():
        return find_tide_patients(unit, large.clinic_id, query, NOW)


def steps(large: Large, query: TideQuery) -> list[Step]:
    """How the rows of tables, not of other questions, are come by, once it is known how many candidates there are."""
    _, *rest = plans(large.database, lambda: report(large, query))
    tables = ("list_index", "statistics", "patient_tags", "summaries", "data_sources", "patients")
    return [step for plan in rest for step in plan if step.table.startswith(tables)]


def assert_no_scan(found: list[Step]) -> None:
    assert found
    assert not [step for step in found if step.whole], found


@pytest.mark.parametrize("category", SORTED_BY)
def test_rule_each_category_is_read_along_its_index(large: Large, category: str) -> None:
    query = TideQuery("14d", [large.tag_id], CUTOFF, [category], with_no_data=False)
    assert len(report(large, query)[category]) == 100
    found = steps(large, query)
    assert_no_scan(found)
    of_figures = [step for step in found if step.table.startswith("list_index")]
    assert {step.by for step in of_figures} == {f"ix_list_index_{SORTED_BY[category]}"}, found
    assert all(step.columns >= {"clinic_id", "period"} for step in of_figures), found
    # Only as far as is needed for a hundred, in each of the two segments of an index that begins with a flag.
    if (rows := rows_read(of_figures)) is not None:
        assert rows < PATIENTS / 4, found


@pytest.mark.parametrize("category", SORTED_BY)
def test_the_indexes_are_those_of_the_list_index(category: str) -> None:
    assert SORTED_BY[category] in {one.columns[-1] for one in INDEXED_VALUES}


def test_rule_where_few_carry_the_tag_nothing_but_their_figures_is_read(large: Large) -> None:
    query = TideQuery("14d", [large.tag_id, large.rare_tag_id], CUTOFF, DEFAULTS, with_no_data=False)
    assert any(report(large, query).values())
    found = steps(large, query)
    assert_no_scan(found)
    if (rows := rows_read(found)) is not None:
        assert rows < 10 * RARE, found


def test_rule_the_number_of_statements_is_that_of_the_categories_at_most(large: Large) -> None:
    categories = ["dropInTimeInTargetPercent", "meetingTargets"]
    with counting(large.database) as sent:
        report(large, TideQuery("14d", [large.tag_id], CUTOFF, categories * 5, with_no_data=True))
        full = len(sent)
        report(large, TideQuery("14d", [large.rare_tag_id], CUTOFF, categories * 5, with_no_data=True))
    # Beginning and end; how many candidates there are, twice; the first category, which is full; those who never had
    # data, who are too few, and those with the oldest.
    assert full == 2 + 2 + 1 + 2
    # Few: the figures of all once, whatever the categories.
    assert len(sent) - full == 6


@pytest.mark.parametrize("tag", ["tag_id", "rare_tag_id"])
def test_rule_those_without_data_are_found_without_a_scan(large: Large, tag: str) -> None:
    query = TideQuery("14d", [getattr(large, tag)], CUTOFF, [], with_no_data=True)
    assert report(large, query)[NO_DATA]
    assert_no_scan(steps(large, query))


def test_rule_of_many_patients_with_the_tag_the_oldest_data_is_found_by_its_index(large: Large) -> None:
    query = TideQuery("14d", [large.tag_id], CUTOFF, [], with_no_data=True)
    assert len(report(large, query)[NO_DATA]) == 50
    found = steps(large, query)
    oldest = [step for step in found if step.by == "ix_list_index_cgm_last_data"]
    assert oldest
    assert all("cgm_last_data" in step.columns for step in oldest), found
    # Only as far as is needed for fifty.
    if (rows := rows_read(oldest)) is not None:
        assert rows <= 50, found
    assert "summaries" not in {step.table for step in found}


def test_rule_those_whose_source_has_trouble_are_found_by_that(large: Large) -> None:
    query = TideQuery("14d", [large.tag_id], CUTOFF - timedelta(days=100), [], with_no_data=True)
    assert len(report(large, query)[NO_DATA]) == 50
    found = steps(large, query)
    assert_no_scan(found)
    [sources] = [step for step in found if step.table.startswith("data_sources")]
    assert sources.by == "ix_data_sources_clinic_id_provider_name_state_patient_id"


def test_most_patients_are_too_many_to_be_sorted_one_by_one() -> None:
    """Otherwise the tests above would be about the other way."""
    assert TAGGED * 0.8 > FEW
