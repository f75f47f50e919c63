"""The patient list finds its pages by the indexes that are meant for it, and scans no table, on both engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from typing import Any, NamedTuple

import pytest
from sqlalchemy import bindparam, insert, update

from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.db.upkeep import after_loading
from clinic_service.models import Clinic, PatientSite
from clinic_service.models.list_index import COVERED, list_index_column
from clinic_service.models.statistics import DELTA, FIELDS, column_name, is_indexed
from clinic_service.resources.patients.listing.columns import PATIENTS
from clinic_service.resources.patients.listing.planner import FEW, PatientPage, find_page
from clinic_service.resources.patients.listing.query import read_query
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.support.crowds import copy_crowd, make_crowd, summarize_crowd, tag_crowd
from tests.support.databases import clear
from tests.support.plans import Step, plans, rows_read
from tests.support.rows import LONG_AGO, make_clinic, make_site, make_tag, storing

SIZE, OTHERS, LIMIT = 2400, 3, 50
# One patient in so many has the rare tag, is at the rare site, or has an extreme value.
RARE = 100
KINDS = ("cgm", "bgm")
_INDEXED = [(kind, f, n) for f in FIELDS for n in (f.name, f.name + DELTA) for kind in KINDS if is_indexed(kind, n)]
INDEXED_SORTS = [(kind, name) for kind, field, name in _INDEXED if kind in field.sortable]
INDEXED_FILTERS = [(kind, name) for kind, field, name in _INDEXED if kind in field.filterable]
ON_PATIENTS = {
    "fullName": "ix_patients_clinic_id_name_key_id",
    "birthDate": "ix_patients_clinic_id_birth_date_id",
    "lastReviewed": "ix_patients_clinic_id_review_1_time_id",
}
BY_TAG = "ix_patient_tags_clinic_id_tag_id_patient_id"
BY_SITE = "ix_patient_sites_clinic_id_site_id_patient_id"
BY_LAST_DATA = "ix_summaries_clinic_id_type_last_data_patient_id"
BY_PATIENT = "ix_list_index_clinic_id_patient_id"
# The indexes for a look-up of one patient. SQLite names none when it looks in the table itself.
PROBES = (None, "pk_patients", "sqlite_autoindex_patients_1", "pk_list_index", BY_PATIENT)
# The table of the numbers of patients is small, and read as a whole.
TABLES = tuple(name for name in Base.metadata.tables if name != "patient_counts")


class Large(NamedTuple):
    """A clinic of many patients, among others like it."""

    database: Database
    clinic_id: str
    tags: tuple[str, str]
    sites: tuple[str, str]


@pytest.fixture(scope="module")
def large(shared_database: Database) -> Iterator[Large]:
    """The tests of this file only read it."""
    with storing(shared_database) as unit:
        clinic = make_clinic(unit)
        large = _filled(shared_database, unit, clinic)
        for _ in range(OTHERS):
            copy_crowd(unit, clinic, make_clinic(unit))
    after_loading(shared_database.url.render_as_string(hide_password=False))
    yield large
    clear(shared_database)


def _filled(database: Database, unit: UnitOfWork, clinic: Clinic) -> Large:
    ids = make_crowd(unit, clinic, SIZE)
    changed = update(PATIENTS).where(PATIENTS.c.clinic_id == clinic.id, PATIENTS.c.id == bindparam("patient"))
    unit.connection.execute(changed, [{"patient": one, **_record(number)} for number, one in enumerate(ids)])
    with_data = [one for number, one in enumerate(ids) if number % 5]
    random = Random(1)
    summaries = {kind: {one: _summary(number, random) for number, one in enumerate(with_data)} for kind in KINDS}
    summarize_crowd(unit, clinic, "14d", summaries)
    rare_tag, tag = (make_tag(unit, clinic, name) for name in "ab")
    rare_site, site = (make_site(unit, clinic, name) for name in "ab")
    rare, most = ids[1::RARE], [one for number, one in enumerate(ids) if number % 10]
    for of_tag, at_site, chosen in ((rare_tag, rare_site, rare), (tag, site, most)):
        tag_crowd(unit, of_tag, chosen)
        keys = [{"clinic_id": clinic.id, "patient_id": one, "site_id": at_site.id} for one in chosen]
        unit.execute(insert(PatientSite), [{**key, "position": 0} for key in keys])
    _at_more_sites(unit, clinic, ids)
    return Large(database, clinic.id, (rare_tag.id, tag.id), (rare_site.id, site.id))


def _at_more_sites(unit: UnitOfWork, clinic: Clinic, ids: list[str]) -> None:
    """Let a site have a small part of the rows: else any index of the table would serve PostgreSQL as well."""
    for position, name in enumerate("cdefg", start=1):
        tag_crowd(unit, make_tag(unit, clinic, name), ids)
        keys = {"clinic_id": clinic.id, "site_id": make_site(unit, clinic, name).id, "position": position}
        unit.execute(insert(PatientSite), [{**keys, "patient_id": one} for one in ids])


def _record(number: int) -> dict[str, Any]:
    return {
        "birth_date": f"{1950 + number % 60}-{number % 12 + 1:02}-01" if number % 9 else None,
        "review_1_time": LONG_AGO + timedelta(minutes=number) if number % 3 else None,
        "has_standard_ranges": bool(number % RARE),
    }


def _summary(number: int, random: Random) -> dict[str, Any]:
    made = {
        "has_last_data": number % 10 != 0,
        "last_data": LONG_AGO + timedelta(minutes=number),
        "min": random.random(),
    }
    for _, field, name in _INDEXED:
        made[column_name(name)] = random.random()
        if field.flagged and name == field.name:
            made[column_name(field.flag)] = random.random() < 0.9
    return made


def find(large: Large, query: Mapping[str, Any], offset: int = 0) -> PatientPage:
    with reading(large.database) as unit:
        return find_page(unit, large.clinic_id, read_query({"limit": LIMIT, "offset": offset, **query}))


def explained(large: Large, query: Mapping[str, Any], offset: int = 0) -> list[list[Step]]:
    """The steps in which each statement of a page reads tables; none of them scans a whole table.

    The first statement counts; when several filters can drive, the second one does. The others look for the page.
    """
    found = [
        [step for step in plan if step.table in TABLES]
        for plan in plans(large.database, lambda: find(large, query, offset))
    ]
    for step in (step for plan in found for step in plan):
        # Only rows of this clinic are read.
        assert "clinic_id" in step.columns or "patient_id" in step.columns, found
        assert not step.whole, found
    return found


def on(name: str, kind: str = "cgm") -> str:
    """The name of the index for a sort, and for a filter of the same name."""
    return ON_PATIENTS.get(name) or f"ix_list_index_{list_index_column(kind, name)}"


def by(sort: str, kind: str = "cgm") -> dict[str, str]:
    return {"sort": sort, "sortType": kind}


@pytest.mark.parametrize("direction", "+-")
@pytest.mark.parametrize(
    ("kind", "name"), [*INDEXED_SORTS, *((kind, name) for kind in KINDS for name in ("lastData", *ON_PATIENTS))]
)
def test_each_indexed_sort_scans_its_index(large: Large, kind: str, name: str, direction: str) -> None:
    [sizes, *pages] = explained(large, by(direction + name, kind))
    assert sizes == []
    assert [step.by for page in pages for step in page] == [on(name, kind)] * len(pages)
    # Missing values come first when ascending, and have a statement of their own.
    assert len(pages) <= 2
    # PostgreSQL sorts those who have equal values, of whom it reads one more group: that of one birth date.
    if (rows := rows_read(chain(*pages))) is not None:
        assert rows <= 2 * LIMIT + SIZE // 9 + 1
    if direction + name == "+fullName":
        assert explained(large, {}) == [sizes, *pages]


@pytest.mark.parametrize("sort", ["-lastData", "+fullName", "-timeInTargetPercent"])
def test_the_second_page_costs_two_pages(large: Large, sort: str) -> None:
    [_, page] = explained(large, by(sort), offset=LIMIT)
    assert [step.by for step in page] == [on(sort[1:])]
    if (rows := rows_read(page)) is not None:
        assert rows <= 2 * LIMIT + 1


@pytest.mark.parametrize(("kind", "name"), INDEXED_FILTERS)
def test_each_indexed_filter_is_counted_by_its_index(large: Large, kind: str, name: str) -> None:
    condition = f"{kind}.{name}"
    for rare, most in ((">0.99", ">0.1"), ("<0.01", "<0.9")):
        assert find(large, {condition: rare}).matching < 60 < 1000 < find(large, {condition: most}).matching
        for text in (rare, most):
            sizes = explained(large, {condition: text})[0]
            [step] = sizes
            assert step.by == on(name, kind), step
            # The index is searched by flag and value, not only by period.
            assert list_index_column(kind, name) in step.columns, step


@pytest.mark.parametrize(("kind", "name"), INDEXED_FILTERS)
@pytest.mark.parametrize("sort", ["-lastData", "+fullName", "-averageGlucoseMmol"])
def test_few_matches_are_found_first_and_then_sorted(large: Large, kind: str, name: str, sort: str) -> None:
    other = "bgm" if kind == "cgm" else "cgm"
    page = explained(large, {f"{kind}.{name}": ">0.99", **by(sort, other)})[-1]
    [matches, probe] = page
    assert matches.by == on(name, kind)
    assert list_index_column(kind, name) in matches.columns
    if matches.rows is not None:
        assert matches.rows <= 60
    # The sort value of each match is looked up. PostgreSQL may choose to read one period of the index instead.
    assert probe.by in (*PROBES, on(sort[1:], other)), probe
    assert probe.columns & {"patient_id", "id", "period"}


@pytest.mark.parametrize("sort", ["-lastData", "+fullName", "-timeInTargetPercent", "+birthDate", "-lastReviewed"])
def test_many_matches_are_found_by_an_index_scan(large: Large, sort: str) -> None:
    [sizes, *pages] = explained(large, {"bgm.averageGlucoseMmol": ">0.1", **by(sort)})
    [step] = sizes
    assert step.by == on("averageGlucoseMmol", "bgm")
    # The scan has a limit, after which it is stopped. The limit is found in the index alone.
    assert all(on(sort[1:]) in {step.by for step in page} for page in pages)
    scans = [page for page in pages if len(page) > 1]
    assert scans
    assert all("list_index" in {step.table for step in page} for page in scans)


@pytest.mark.parametrize("column", COVERED)
@pytest.mark.parametrize("sort", ["-lastData cgm", "+averageGlucoseMmol bgm", "-glucoseManagementIndicator cgm"])
def test_the_filters_of_start_pages_are_residual_filters(large: Large, column: str, sort: str) -> None:
    [name] = [name for kind, name in INDEXED_FILTERS if list_index_column(kind, name) == column]
    [order, kind] = sort.split()
    [sizes, *pages] = explained(large, {f"cgm.{name}": ">0.5", **by(order, kind)})
    assert [step.by for step in sizes] == [on(name)]
    # Nobody is looked up, and no scan is stopped: half of all match, so a page needs some hundred entries.
    assert [step.by for page in pages for step in page] == [on(order[1:], kind)] * len(pages)
    if (rows := rows_read(chain(*pages))) is not None:
        assert rows <= 4 * LIMIT


def test_several_filters_of_start_pages_are_counted_in_one_index(large: Large) -> None:
    query = {"cgm.timeInVeryLowPercent": ">0.2", "cgm.timeInAnyHighPercent": "<0.8", "cgm.timeCGMUsePercent": ">0.1"}
    [_, sizes, *pages] = explained(large, {**query, **by("-lastData")})
    assert [step.by for step in sizes] == [on("timeInVeryLowPercent")]
    assert [step.by for page in pages for step in page] == [on("lastData")] * len(pages)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"omitNonStandardRanges": True}, "ix_patients_clinic_id_has_standard_ranges_id"),
        ({"bgm.averageGlucoseMmol": ">0.01"}, "ix_list_index_bgm_average_glucose_mmol"),
    ],
)
@pytest.mark.parametrize("sort", ["-lastData", "+birthDate"])
def test_on_a_page_far_down_nobody_is_looked_up(large: Large, query: dict[str, Any], index: str, sort: str) -> None:
    [_, *pages] = explained(large, {**query, **by(sort)}, offset=SIZE // 2)
    # The size of a segment, the number of matches in it, or the page.
    assert {step.by for page in pages for step in page} == {index, on(sort[1:])}
    for page in pages:
        for step in page:
            if step.rows is not None:
                assert step.rows <= SIZE


@pytest.mark.parametrize("sort", ["-lastData", "+averageGlucoseMmol"])
def test_pages_far_down_are_those_of_the_whole_list(large: Large, sort: str) -> None:
    """Pages near the end as well: their patients have no value, and no index contains them."""
    query = {"omitNonStandardRanges": True, **by(sort)}
    whole = find(large, {**query, "limit": SIZE}).patient_ids
    assert len(set(whole)) == len(whole) == find(large, query).matching
    # One in five has no value. The last page is not full.
    for offset in (SIZE // 2, SIZE * 3 // 4 + 100, SIZE * 4 // 5 + 50, SIZE - 200, len(whole) - 7):
        assert find(large, query, offset).patient_ids == whole[offset : offset + LIMIT], offset
    pages = explained(large, query, offset=SIZE - 200)[-2:]
    # The matches, and the patients with a value, are materialized: to count those without a value, and for the page.
    assert [sorted(step.table for step in page) for page in pages] == [["list_index", "patients"]] * 2


@pytest.mark.parametrize(
    ("query", "sort"),
    [
        ({}, "+fullName"),
        ({"bgm.averageGlucoseMmol": ">0.1"}, "-fullName"),
        ({"tags": 1}, "-lastReviewed"),
        ({"cgm.timeInTargetPercent": "<0.9"}, "-timeInVeryLowPercent"),
    ],
)
def test_the_last_page_is_found_along_the_index(large: Large, query: dict[str, Any], sort: str) -> None:
    wanted = {**query, **({"tags": [large.tags[1]]} if "tags" in query else {}), **by(sort)}
    whole = find(large, {**wanted, "limit": SIZE}).patient_ids
    offset = len(whole) - LIMIT // 2
    assert find(large, wanted, offset).patient_ids == whole[offset:]
    [_, *pages] = explained(large, wanted, offset)
    assert on(sort[1:]) in {step.by for page in pages for step in page}
    for page in pages:
        # The patients before the page are passed in the index, and the matches are materialized.
        if (rows := rows_read(page)) is not None:
            assert rows <= 2 * SIZE


@pytest.mark.parametrize("direction", "+-")
@pytest.mark.parametrize("name", ["timeInVeryLowPercent", "lastData", "lastReviewed"])
def test_one_index_serves_a_filter_and_a_sort_of_one_column(large: Large, name: str, direction: str) -> None:
    noon = LONG_AGO + timedelta(minutes=SIZE // 2)
    on_column = {"lastData": {"cgm.lastDataTo": noon}, "lastReviewed": {"lastReviewed": noon}}
    query: dict[str, Any] = {**on_column.get(name, {f"cgm.{name}": ">0.2"}), **by(direction + name)}
    for page in explained(large, query)[1:]:
        assert [step.by for step in page] == [on(name)]
        if (rows := rows_read(page)) is not None:
            assert rows <= LIMIT + 1


@pytest.mark.parametrize("start", [LONG_AGO + timedelta(minutes=1900), LONG_AGO + timedelta(minutes=300)])
def test_a_window_of_last_data_is_found_by_its_index(large: Large, start: datetime) -> None:
    query = {"cgm.lastDataFrom": start, "cgm.lastDataTo": datetime(2027, 1, 1, tzinfo=UTC)}
    [sizes, *pages] = explained(large, {**query, **by("-timeInTargetPercent")})
    [step] = sizes
    assert step.by == BY_LAST_DATA
    assert "last_data" in step.columns
    is_rare = find(large, query).matching < RARE
    assert pages[0][0].by == (BY_LAST_DATA if is_rare else on("timeInTargetPercent"))


def test_reviews_are_found_by_their_index(large: Large) -> None:
    query = {"lastReviewed": LONG_AGO + timedelta(minutes=30)}
    [sizes, page] = explained(large, query)
    assert [step.by for step in sizes] == [on("lastReviewed")]
    assert page[0].by == on("lastReviewed")
    if (rows := rows_read(page)) is not None:
        assert rows <= 30 * 3


@pytest.mark.parametrize(("parameter", "index"), [("tags", BY_TAG), ("sites", BY_SITE)])
@pytest.mark.parametrize("sort", ["+fullName", "-timeInTargetPercent"])
def test_a_rare_tag_or_site_is_the_driving_filter(large: Large, parameter: str, index: str, sort: str) -> None:
    ids = large.tags if parameter == "tags" else large.sites
    [sizes, page] = explained(large, {parameter: [ids[0]], **by(sort)})
    assert [step.by for step in sizes] == [index]
    assert page[0].by == index
    if page[0].rows is not None:
        assert page[0].rows <= SIZE // RARE


@pytest.mark.parametrize(("parameter", "index"), [("tags", BY_TAG), ("sites", BY_SITE)])
@pytest.mark.parametrize("sort", ["+fullName", "-timeInTargetPercent"])
def test_a_common_tag_or_site_is_tested_along_an_index_scan(
    large: Large, parameter: str, index: str, sort: str
) -> None:
    ids = large.tags if parameter == "tags" else large.sites
    [sizes, limit, page] = explained(large, {parameter: [ids[1]], **by(sort)})
    assert [step.by for step in sizes] == [index]
    assert [step.by for step in limit] == [on(sort[1:])]
    assert on(sort[1:]) in {step.by for step in page}


def test_of_several_filters_the_one_with_the_fewest_matches_is_the_driving_filter(large: Large) -> None:
    common = {"tags": [large.tags[1]], "bgm.averageGlucoseMmol": ">0.1", "lastReviewed": LONG_AGO + timedelta(days=9)}
    rare: list[tuple[dict[str, Any], str]] = [
        ({"sites": [large.sites[0]]}, BY_SITE),
        ({"cgm.timeInVeryLowPercent": ">0.99"}, on("timeInVeryLowPercent")),
        ({"cgm.lastDataFrom": LONG_AGO + timedelta(minutes=1900)}, on("lastData")),
    ]
    for query, index in rare:
        [_, sizes, page] = explained(large, {**common, **query, **by("-birthDate")})
        assert index in {step.by for step in page}, page
        assert on("birthDate") not in {step.by for step in page}, page
        assert index in {step.by for step in sizes}


def test_a_filter_that_nearly_everybody_matches_is_not_the_driving_filter(large: Large) -> None:
    query = {"tags": [large.tags[1]], "sites": [large.sites[1]]}
    found = find(large, query)
    assert FEW <= found.matching < found.total == SIZE
    assert len(found.patient_ids) == LIMIT
    page = explained(large, query)[-1]
    assert on("fullName") in {step.by for step in page}


@pytest.mark.parametrize(
    "query",
    [
        {"search": "00001"},
        {"search": "patient", **by("-lastData")},
        {"cgm.min": ">0.999"},
        {"cgm.min": ">0.1", **by("-min")},
        {"omitNonStandardRanges": True, **by("-timeInTargetPercent")},
        {"cgm.timeInVeryLowPercent": ">0.5", "cgm.timeInAnyHighPercent": "<0.5", "bgm.min": ">0.5"},
        {**by("+min", "bgm")},
        {**by("-outdatedSince")},
    ],
)
def test_what_has_no_index_reads_no_more_than_the_clinic(large: Large, query: dict[str, Any]) -> None:
    for plan in explained(large, query):
        for step in plan:
            if step.rows is not None:
                assert step.rows <= 4 * SIZE, plan
