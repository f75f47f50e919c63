"""ListPatients: every numeric filter and every sort reads its own field, and the spec names just those there are.

The fields are listed here as the published API has them, and taken from the spec; nothing comes from our own table but
in the tests that compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

from clinic_service.api.routing import LeanFlask
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models.statistics import DELTA, FIELDS
from clinic_service.resources.patients.listing.query import FILTERABLE, SORTS
from tests.support.client import Client
from tests.support.databases import clear
from tests.support.errors import assert_violations, spec_apis
from tests.support.patient_lists import Ward, flag_of, stats

KINDS = ("cgm", "bgm")
RANGES = ("VeryLow", "AnyLow", "Low", "Target", "High", "VeryHigh", "ExtremeHigh", "AnyHigh")
PATIENT_SORTS = ("fullName", "birthDate", "lastReviewed")
DATE_SORTS = ("lastUploadDate", "lastData", "firstData", "outdatedSince")
COMMON_SORTS = [
    *("averageGlucoseMmol", "averageDailyRecords", "totalRecords", "min", "max"),
    *("standardDeviation", "coefficientOfVariation"),
]
FIGURE_SORTS = {
    "cgm": [
        *COMMON_SORTS,
        *("timeCGMUsePercent", "glucoseManagementIndicator", "hoursWithData", "daysWithData"),
        *(f"timeIn{name}{unit}" for name in RANGES for unit in ("Percent", "Records", "Minutes")),
    ],
    "bgm": [*COMMON_SORTS, *(f"timeIn{name}{unit}" for name in RANGES for unit in ("Percent", "Records"))],
}
# In the data, and no field to sort by.
NO_SORTS = {
    "cgm": ["timeCGMUseRecords", "timeCGMUseMinutes"],
    "bgm": ["daysWithData", "hoursWithData", "timeCGMUsePercent", "glucoseManagementIndicator", "timeInLowMinutes"],
}
NEVER_SORTS = ("lastUpdatedDate", "email", "mrn", "hasLastData", "hasTimeInTargetPercent", "timeInAnyLow", "id", "tags")


class Given(NamedTuple):
    """A parameter of the spec that filters a figure."""

    kind: str
    name: str
    whole: bool


@cache
def parameters() -> list[dict[str, Any]]:
    """The parameters of the operation as the spec declares them, resolved."""
    api = spec_apis()[0]
    operation = next(operation for operation in api.operations if operation.operation_id == "ListPatients")
    return [api.resolved(node) for node in operation.definition["parameters"]]


@cache
def figure_parameters() -> list[Given]:
    found = []
    for parameter in parameters():
        kind, dot, name = parameter["name"].partition(".")
        if dot and not name.startswith("lastData"):
            schema = spec_apis()[0].resolved(parameter["schema"])
            found.append(Given(kind, name, whole=not re.search(r"\\\.", schema["pattern"])))
    return found


@cache
def figures_of(kind: str) -> list[str]:
    """All numbers that the spec gives to a period of a summary."""
    properties = spec_apis()[0].document["components"]["schemas"][f"{kind}Period.v1"]["properties"]
    return [name for name, schema in properties.items() if schema["type"] in ("number", "integer")]


@cache
def flags_of(kind: str) -> dict[str, bool]:
    properties = spec_apis()[0].document["components"]["schemas"][f"{kind}Period.v1"]["properties"]
    return {name: True for name, schema in properties.items() if schema["type"] == "boolean"}


def owner(kind: str, name: str) -> str:
    return f"{kind}.{name}"


OWNERS = [owner(kind, name) for kind in KINDS for name in figures_of(kind)]


def _patient(name: str) -> dict[str, Any]:
    """Somebody with both summaries, of whose figures one alone is 1 and all others are 0."""
    summaries = {}
    for kind in KINDS:
        numbers = {figure: int(owner(kind, figure) == name) for figure in figures_of(kind)}
        summaries[kind] = stats(flags_of(kind) | numbers)
    return summaries


@pytest.fixture(scope="module")
def ward(shared_database: Database, shared_app: LeanFlask, shared_config: Config) -> Iterator[Ward]:
    """A patient for each figure, who has it alone, and two without figures. Nothing in here changes anything."""
    secret = shared_config.session_secret
    assert secret
    ward = Ward(Client(shared_app, secret), shared_database)
    ward.add("no summary")
    ward.add_all({name: _patient(name) for name in OWNERS})
    ward.add("no period", cgm=stats(), bgm=stats())
    yield ward
    clear(shared_database)


@pytest.mark.parametrize("given", figure_parameters(), ids=lambda given: owner(given.kind, given.name))
def test_rule_each_parameter_filters_exactly_its_own_field(ward: Ward, given: Given) -> None:
    name = owner(given.kind, given.name)
    assert ward.listed({name: ">0" if given.whole else ">0.5"}) == [name]
    # All others have a zero, and those without figures match nothing.
    zeros = ward.ask({name: "<1" if given.whole else "<.5", "limit": 1})
    assert zeros.json["meta"] == {"count": len(OWNERS) - 1, "totalCount": len(OWNERS) + 2}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in FIGURE_SORTS[kind]])
@pytest.mark.parametrize("suffix", ["", DELTA])
def test_rule_each_sort_reads_exactly_its_own_field(ward: Ward, kind: str, name: str, suffix: str) -> None:
    """Its owner has the greatest value; the others are equal, and stand in order of creation in both directions."""
    own = owner(kind, name + suffix)
    others = [other for other in OWNERS if other != own]
    assert ward.sorted_by(f"-{name}{suffix}", kind, limit=3) == [own, *others[:2]]
    last = ward.sorted_by(f"+{name}{suffix}", kind, limit=9, offset=len(OWNERS) - 2)
    assert last == [others[-1], own, "no summary", "no period"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", [*PATIENT_SORTS, *DATE_SORTS])
def test_rule_names_reviews_and_dates_sort_with_either_type(ward: Ward, kind: str, sort: str) -> None:
    for direction in "+-":
        assert len(ward.sorted_by(direction + sort, kind, limit=5)) == 5


@pytest.mark.one_engine
@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in KINDS for n in (*NO_SORTS[k], *NEVER_SORTS)])
def test_rule_no_other_field_sorts(ward: Ward, kind: str, name: str) -> None:
    for sort in (f"+{name}", f"-{name}", f"-{name}{DELTA}"):
        assert_violations(ward.ask({"sort": sort, "sortType": kind}), ("/query/sort", "enum"))


@pytest.mark.one_engine
@pytest.mark.parametrize("sort", [*PATIENT_SORTS, *DATE_SORTS])
def test_names_reviews_and_dates_have_no_change_to_sort_by(ward: Ward, sort: str) -> None:
    assert_violations(ward.ask({"sort": f"-{sort}{DELTA}", "sortType": "cgm"}), ("/query/sort", "enum"))


class TestTheTableOfFigures:
    """The spec and `FIELDS` say the same, in both directions."""

    def test_it_has_the_figures_of_the_spec(self) -> None:
        for kind in KINDS:
            ours = [name for field in FIELDS if kind in field.types for name in (field.name, field.name + DELTA)]
            assert sorted(ours) == sorted(figures_of(kind))

    def test_it_has_the_flags_of_the_spec(self) -> None:
        for kind in KINDS:
            assert sorted(field.flag for field in FIELDS if kind in field.flagged) == sorted(flags_of(kind))
            assert all(field.flag == flag_of(field.name) for field in FIELDS)

    def test_rule_flags_are_required_by_the_spec(self) -> None:
        """A sort and the index of a filter count on them."""
        schemas = spec_apis()[0].document["components"]["schemas"]
        for kind in KINDS:
            assert set(flags_of(kind)) <= set(schemas[f"{kind}Period.v1"]["required"])
        assert {flag_of(name) for name in DATE_SORTS} <= set(schemas["summaryDates.v1"]["required"])

    def test_its_filters_are_the_parameters_of_the_spec(self) -> None:
        assert len(figure_parameters()) == 112
        assert set(FILTERABLE) == {(given.kind, given.name) for given in figure_parameters()}

    def test_its_sorts_are_those_of_the_published_api(self) -> None:
        for kind in KINDS:
            figures = [name + suffix for name in FIGURE_SORTS[kind] for suffix in ("", DELTA)]
            assert len(SORTS[kind]) == len(set(SORTS[kind]))
            assert set(SORTS[kind]) == {*PATIENT_SORTS, *DATE_SORTS, *figures}

    def test_its_sorts_are_those_that_the_spec_names(self) -> None:
        [description] = [parameter["description"] for parameter in parameters() if parameter["name"] == "sort"]
        [both, cgm, bgm, delta] = re.findall(r"^- (.*?)(?=^- |^$)", description, re.DOTALL | re.MULTILINE)
        assert "`Delta`" in delta
        assert _names(both) == {*PATIENT_SORTS, *DATE_SORTS}
        starts = {name for name in _names(cgm) if name.endswith("…")}
        assert starts == {f"timeIn{name}…" for name in RANGES}
        units = {"Percent", "Records", "Minutes"}
        assert _expanded(_names(cgm) - starts - units, units) == set(FIGURE_SORTS["cgm"])
        assert not _names(bgm) & {"Minutes"}
        units = {"Percent", "Records"}
        assert _expanded(_names(bgm) - {"timeIn…"} - units, units) == set(FIGURE_SORTS["bgm"])

    def test_whole_numbers_are_asked_for_where_figures_are_whole(self) -> None:
        """But for the change of a mean, of which the published API says otherwise."""
        for given in figure_parameters():
            counted = re.fullmatch(r"(time.*(Minutes|Records)|totalRecords|(hours|days)WithData)(Delta)?", given.name)
            assert given.whole == bool(counted), given

    def test_there_are_126_parameters(self) -> None:
        in_query = [parameter for parameter in parameters() if parameter["in"] == "query"]
        assert len(in_query) == len({parameter["name"] for parameter in in_query}) == 126
        assert not any(parameter.get("required") for parameter in in_query)


def _names(text: str) -> set[str]:
    return set(re.findall(r"`([\w…]+)`", text)) - set(KINDS)


def _expanded(names: set[str], units: set[str]) -> set[str]:
    return names | {f"timeIn{name}{unit}" for name in RANGES for unit in units}
