"""Summaries are checked when they come in, and sent as they are stored: what is right to send is right to answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from clinic_service.api.validation import Validator, Validators
from clinic_service.models.statistics import BGM, CGM, DELTA, FIELDS, TYPES
from tests.support.errors import spec_apis
from tests.support.summaries import bgm_stats, cgm_stats

SCHEMAS: dict[str, Any] = spec_apis()[0].document["components"]["schemas"]
# What makes a difference between the forms of a schema: see `api/validation.py`.
DIFFERING = {"readOnly", "writeOnly", "default", "x-answer-may-be-absent"}
VALUES: tuple[Any, ...] = (None, True, 0, -1, 0.5, 1e300, 2**63 - 1, "", "a", "A" * 300, "2026-03-02T09:30:00Z", [], {})


@pytest.fixture(scope="module")
def validators() -> Validators:
    return Validators(spec_apis()[0].document)


@pytest.fixture(scope="module")
def given(validators: Validators) -> Validator:
    return validators.request({"$ref": "#/components/schemas/patientSummary.v1"})


@pytest.fixture(scope="module")
def answered(validators: Validators) -> Validator:
    return validators.response({"$ref": "#/components/schemas/patientSummary.v1"})


def reachable(name: str, seen: set[str]) -> set[str]:
    """The names of the schemas that `name` is made of."""
    if name not in seen:
        seen.add(name)
        for reference in references(SCHEMAS[name]):
            reachable(reference, seen)
    return seen


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def words(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from words(value)
    elif isinstance(node, list):
        for item in node:
            yield from words(item)


def varied(value: Any) -> Iterator[Any]:
    """`value` with something taken away, added or replaced, in every place."""
    yield from VALUES
    if isinstance(value, dict):
        yield {**value, "somethingElse": [{"a": None}]}
        for name, inner in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            yield from ({**value, name: replacement} for replacement in varied(inner))


def test_no_schema_of_a_summary_has_two_forms() -> None:
    names = reachable("patientSummary.v1", set())
    assert {"cgmStats.v1", "bgmPeriod.v1", "summaryDates.v1", "summaryConfig.v1", "summaryId.v1"} <= names
    assert {name: found for name in names if (found := DIFFERING & set(words(SCHEMAS[name])))} == {}


def test_a_difference_of_forms_would_be_found() -> None:
    assert DIFFERING & set(words(SCHEMAS["patientInput.v1"]))


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_accepted_can_be_answered(given: Validator, answered: Validator, kind: str) -> None:
    stats = {CGM: cgm_stats, BGM: bgm_stats}[kind](Random(4711), periods=("14d",), gaps=0.1)
    right = 0
    for variation in varied(copy.deepcopy(stats)):
        body = {f"{kind}Stats": variation}
        assert given.is_valid(body) == answered.is_valid(body)
        right += given.is_valid(body)
    # Else the comparison says nothing.
    assert right > 300


@pytest.mark.parametrize("gaps", [0.0, 0.5, 1.0])
def test_made_up_summaries_are_right(given: Validator, gaps: float) -> None:
    random = Random(4711)
    for _ in range(20):
        body = {"cgmStats": cgm_stats(random, gaps=gaps), "bgmStats": bgm_stats(random, gaps=gaps)}
        assert given.violations(body, "") == []


@pytest.mark.parametrize("kind", TYPES)
def test_the_figures_in_columns_are_those_of_the_spec(kind: str) -> None:
    """Rule: one table says which figures there are; none is forgotten, and none made up."""
    names = [name for field in FIELDS if kind in field.types for name in (field.name, field.name + DELTA)]
    flags = [field.flag for field in FIELDS if kind in field.flagged]
    assert (len(names), len(flags)) == {CGM: (74, 31), BGM: (48, 19)}[kind]
    properties = SCHEMAS[f"{kind}Period.v1"]["properties"]
    assert {name for name, schema in properties.items() if schema["type"] == "number"} == set(names)
    assert {name for name, schema in properties.items() if schema["type"] == "boolean"} == set(flags)
