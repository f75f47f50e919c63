"""Values from schemas: valid for every keyword, the same for the same seed, also in another process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from clinic_service.api.validation import Validators
from clinic_service.mock.schemas import combined, flattened
from clinic_service.mock.texts import FORMATS, text_of_pattern
from clinic_service.mock.values import NoValue, Values
from tests.support.processes import ROOT
from tests.support.small import small_api

SEEDS = [str(number) for number in range(20)]
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def item(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


API = small_api(
    {},
    {
        "Node": item("name", name=TEXT, next=reference("Node")),
        "Id": {"type": "string", "pattern": "^[a-f0-9]{24}$"},
        "Left": item("side", side=TEXT, a=NUMBER),
        "Right": item("side", "b", side=TEXT, b={"type": "boolean"}),
        "Endless": item("more", more=reference("Endless")),
    },
)
LEFT, RIGHT = reference("Left"), reference("Right")
VALIDATORS = Validators(API.document)
VALUES = Values(API, VALIDATORS)

CASES: dict[str, dict[str, Any]] = {
    "a long text of one class": {"type": "string", "pattern": "^[a-f0-9]+$", "minLength": 32, "maxLength": 32},
    "a long text of two parts": {"type": "string", "pattern": "^[a-z]+-[a-z]+$", "minLength": 40, "maxLength": 48},
    "a long text with a pattern for its beginning": {"type": "string", "pattern": "^[A-Z]", "minLength": 30},
    "a long address": {"type": "string", "format": "uri", "minLength": 100},
    "anything": {},
    "bounds": {"type": "integer", "minimum": 3, "maximum": 5},
    "excluded bounds": {"type": "integer", "minimum": 3, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": True},
    "below nought": {"type": "integer", "maximum": -7},
    "far above": {"type": "integer", "minimum": 10**12},
    "a multiple": {"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 60},
    "a fraction": {"type": "number", "minimum": 0.25, "maximum": 0.3},
    "an excluded fraction": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 0.1},
    "a multiple of a fraction": {"type": "number", "multipleOf": 0.01, "maximum": 1},
    "a length": {"type": "string", "minLength": 50, "maxLength": 53},
    "a short length": {"type": "string", "maxLength": 1},
    "nothing": {"type": "string", "maxLength": 0},
    "a choice": {"type": "string", "enum": ["a", "b"]},
    "null or a choice": {"type": "string", "nullable": True, "enum": ["a", None]},
    "null": {"type": "integer", "nullable": True},
    "a pattern": {"type": "string", "pattern": r"^(>=|<)[+-]?\d+(\.\d*)?$"},
    "a pattern and a length": {"type": "string", "pattern": "^[a-z]*$", "minLength": 4, "maxLength": 6},
    "a pattern within": {"type": "string", "pattern": r"[0-9]{3}\.[A-Z]"},
    "a pattern that looks ahead": {"type": "string", "pattern": "^(?=.*[0-9])[a-z0-9]{4}$"},
    "a pattern beyond ASCII": {"type": "string", "pattern": r"^[^\x00-\x7F]{2}$"},
    "an exact pattern beside a weak one": {"type": "string", "pattern": "^.+$", "x-pattern": r"^[\p{L}\p{N}]{3}$"},
    "a list": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "a list of different ones": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    "a list of anything": {"type": "array", "maxItems": 2},
    "a map": {"type": "object", "minProperties": 2, "additionalProperties": reference("Id")},
    "members that are not described": {"type": "object", "required": ["a"], "minProperties": 3},
    "nothing but what is described": {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
    "a recursion": reference("Node"),
    "a recursion in a list": {"type": "array", "minItems": 1, "items": reference("Node")},
    "all of": {"allOf": [LEFT, RIGHT, {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5}}}]},
    "any of": {"anyOf": [LEFT, RIGHT]},
    "one of": {"oneOf": [LEFT, {"type": "string"}]},
    "one of two alike": {"oneOf": [LEFT, RIGHT]},
    "one of within all of": {"allOf": [{"oneOf": [{"type": "integer"}, {"type": "boolean"}]}]},
    "not": {"type": "integer", "minimum": 1, "maximum": 3, "not": {"enum": [1, 2]}},
    "a type that is not said": {"properties": {"a": {"items": {"maxLength": 3}}}, "required": ["a"]},
}  # fmt: skip


@pytest.mark.parametrize("schema", CASES.values(), ids=CASES)
def test_values_fit_whatever_the_seed(schema: dict[str, Any]) -> None:
    validator = VALIDATORS.response(schema)
    for seed in SEEDS:
        assert validator.violations(VALUES.random(schema, seed), "") == []
        assert validator.violations(VALUES.sample(schema, seed), "") == []


@pytest.mark.parametrize("name", FORMATS)
def test_values_have_the_format(name: str) -> None:
    schema = {"type": "string", "format": name}
    made = {VALUES.random(schema, seed) for seed in SEEDS}
    assert len(made) > 5
    assert all(VALIDATORS.response(schema).is_valid(value) for value in made)


def test_a_sample_shows_every_member_and_the_examples_within() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "example": "shown"}, "b": {"type": "integer", "default": 7}, "c": LEFT},
    }
    made = VALUES.sample(schema, "1")
    assert (made["a"], made["b"], set(made["c"])) == ("shown", 7, {"side", "a"})


def test_an_example_within_that_does_not_fit_is_not_shown() -> None:
    assert isinstance(VALUES.sample({"type": "integer", "example": "many"}, "1"), int)


def test_what_only_requests_hold_is_not_shown() -> None:
    schema = {"type": "object", "properties": {"name": {}, "password": {"type": "string", "writeOnly": True}}}
    assert all("password" not in VALUES.random(schema, seed) for seed in SEEDS)


def test_readers_can_tell_alternatives_by_the_discriminator() -> None:
    schema = {"oneOf": [RIGHT], "discriminator": {"propertyName": "side", "mapping": {"r": RIGHT["$ref"]}}}
    assert VALUES.random(schema, "1")["side"] == "r"
    del schema["discriminator"]["mapping"]  # type: ignore[attr-defined]
    assert VALUES.random(schema, "1")["side"] == "Right"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "string", "pattern": "^a$", "minLength": 2},
        {"allOf": [{"enum": [1]}, {"enum": [2]}]},
        {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "boolean"}},
        reference("Endless"),
        {"not": {}},
    ],
)
def test_a_schema_without_a_value_is_said_to_have_none(schema: dict[str, Any]) -> None:
    with pytest.raises(NoValue):
        VALUES.sample(schema, "1")


@pytest.mark.parametrize(
    "pattern",
    [
        *("abc", "a|b|cd", "(a|b){2,3}", "[^a-z]", "[^a]", ".{3}", r"\d\D\w\W\s\S", r"[\d_-]+", "x*?y+?z??", "(?:ab)+"),
        *(
            r"^\.\*$",
            "[a-c-]",
            r"[\]\\]",
            r"(?P<name>a)b",
            r"\p{Lu}[\p{N}]",
            "",
            "^$",
            "a{0}",
            "é",
            "[à-ü]{2}",
            r"\x41",
        ),
    ],
)
def test_texts_match_their_patterns(pattern: str) -> None:
    readable = re.sub(r"\\p\{\w+\}", r"\\w", pattern)
    for seed in SEEDS:
        assert re.search(f"^(?:{readable})$", text_of_pattern(Random(seed), pattern))


def test_values_are_the_same_in_another_process() -> None:
    """The order of a set is another one there."""
    program = (
        "from tests.mock.test_values import CASES, SEEDS, VALUES;"
        "print([VALUES.random(schema, seed) for schema in CASES.values() for seed in SEEDS])"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "17", "PYTHONPATH": str(ROOT), "PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ran.stdout.strip() == str([VALUES.random(schema, seed) for schema in CASES.values() for seed in SEEDS])


class TestSchemas:
    def test_bounds_are_the_tighter_ones(self) -> None:
        first = {"minimum": 1, "maximum": 9, "required": ["a"], "enum": [1, 2], "nullable": True, "type": "number"}
        second = {
            "minimum": 3,
            "maximum": 10,
            "required": ["b", "a"],
            "enum": [2, 3],
            "nullable": False,
            "type": "integer",
        }
        assert combined(first, second) == {
            "minimum": 3, "maximum": 9, "required": ["a", "b"], "enum": [2], "nullable": False, "type": "integer",
        }  # fmt: skip

    def test_references_and_parts_are_put_together(self) -> None:
        made = flattened(API, {"allOf": [LEFT, {"allOf": [RIGHT]}], "description": "Both."})
        assert set(made["properties"]) == {"side", "a", "b"}
        assert made["required"] == ["side", "b"]
        assert "allOf" not in made
