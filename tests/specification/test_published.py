"""What programs that do not know our extensions are told, in the words of OpenAPI."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from clinic_service.specification.apis import Api
from clinic_service.specification.published import enum_names, published
from tests.support.errors import spec_apis

EMAIL = {"type": "string", "format": "email", "minLength": 6, "pattern": "@", "maxLength": 254, "x-may-be-empty": True}


def test_a_text_that_may_be_empty_has_no_rule_that_the_empty_text_breaks() -> None:
    assert published(EMAIL) == {"type": "string", "maxLength": 254}


def test_what_an_answer_may_leave_out_is_not_required() -> None:
    name = {"type": "string", "x-answer-may-be-absent": True}
    both = {"required": ["id", "name"], "properties": {"id": {"type": "string"}, "name": name}}
    assert published(both)["required"] == ["id"]
    assert "required" not in published({"required": ["name"], "properties": {"name": name}})


@pytest.mark.parametrize("api", spec_apis(), ids=lambda api: api.name)
@pytest.mark.parametrize("extension", ["x-request-pattern", "x-may-be-empty", "x-answer-may-be-absent"])
def test_rules_of_one_direction_are_left_out(api: Api, extension: str) -> None:
    assert f'"{extension}":' not in json.dumps(published(api.document))
    assert published({"type": "string", extension: "a"}) == {"type": "string"}


def test_members_called_like_keywords_are_members() -> None:
    schema = {"type": "object", "properties": {"example": EMAIL, "enum": {"type": "array", "items": EMAIL}}}
    members = published(schema)["properties"]
    assert "format" not in members["example"]
    assert "format" not in members["enum"]["items"]


def test_a_schema_with_properties_is_of_an_object() -> None:
    assert published({"properties": {"a": {}}}) == {"type": "object", "properties": {"a": {}}}
    # A property that is called like the keyword.
    assert published({"properties": {"properties": {}}}) == {"type": "object", "properties": {"properties": {}}}


def test_examples_are_not_touched() -> None:
    example = {"required": ["a"], "x-may-be-empty": True, "format": "email", "enum": ["+", "-"]}
    assert published({"example": example}) == {"example": example}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["view", "follow"], None),
        (["mg/dL", "mmol/L"], None),
        ([1, 2], None),
        ([], None),
        (["GMT+0", "GMT-0", "GMT0", "GMT"], ["GMT_PLUS_0", "GMT_MINUS_0", "GMT0", "GMT"]),
        (["+fullName", "-fullName"], ["PLUS_FULL_NAME", "MINUS_FULL_NAME"]),
        (["Port-au-Prince", ""], ["PORT_AU_PRINCE", "EMPTY"]),
        (["0-249", "1000+"], ["VALUE_0_249", "VALUE_1000_PLUS"]),
    ],
)
def test_values_get_names_where_generators_cannot_derive_them(values: list[Any], names: list[str] | None) -> None:
    assert enum_names(values) == names


def _enums(node: Any) -> list[list[str]]:
    if isinstance(node, dict):
        own = [node["x-enum-varnames"]] if "x-enum-varnames" in node else []
        return own + [found for value in node.values() for found in _enums(value)]
    return [found for item in node for found in _enums(item)] if isinstance(node, list) else []


def test_the_names_of_the_spec_are_names() -> None:
    enums = [names for api in spec_apis() for names in _enums(published(api.document))]
    assert any(len(names) > 500 for names in enums), "the time zones"
    for names in enums:
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in names)


@pytest.mark.parametrize("api", spec_apis(), ids=lambda api: api.name)
def test_the_document_of_the_server_is_left_as_it_is(api: Api) -> None:
    before = repr(api.document)
    published(api.document)
    assert repr(api.document) == before
