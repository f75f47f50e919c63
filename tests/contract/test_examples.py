"""Every example and default of the bundles fits the schema it stands beside, in the form it is sent in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

from clinic_service.api.validation import Validators
from clinic_service.specification.apis import Api
from tests.support.errors import spec_apis

JSON = "application/json"


class Example(NamedTuple):
    """A value, where it stands, and the schema it must fit; `is_answer` says in which of the two forms."""

    api: Api
    place: str
    schema: dict[str, Any]
    value: Any
    is_answer: bool


def examples(api: Api) -> Iterator[Example]:
    for operation in api.operations:
        yield from _of_operation(api, operation.operation_id, operation.definition)
    for name, response in api.document["components"].get("responses", {}).items():
        yield from _of_content(api, f"response {name}", response, is_answer=True)
    for name, schema in api.document["components"]["schemas"].items():
        yield from _of_schema(api, f"schema {name}", schema)


def _of_operation(api: Api, name: str, definition: dict[str, Any]) -> Iterator[Example]:
    if "requestBody" in definition:
        yield from _of_content(api, f"{name} body", api.resolved(definition["requestBody"]), is_answer=False)
    for status, response in definition["responses"].items():
        yield from _of_content(api, f"{name} {status}", api.resolved(response), is_answer=True)
    for parameter in map(api.resolved, definition["parameters"]):
        place = f"{name} {parameter['name']}"
        yield from _of_values(api, place, parameter["schema"], parameter, is_answer=False)
        yield from _of_schema(api, place, parameter["schema"])


def _of_content(api: Api, place: str, node: dict[str, Any], *, is_answer: bool) -> Iterator[Example]:
    for media in node.get("content", {}).values():
        yield from _of_values(api, place, media["schema"], media, is_answer=is_answer)


def _of_values(
    api: Api, place: str, schema: dict[str, Any], node: dict[str, Any], *, is_answer: bool
) -> Iterator[Example]:
    if "example" in node:
        yield Example(api, place, schema, node["example"], is_answer)
    for name, named in node.get("examples", {}).items():
        yield Example(api, f"{place} {name}", schema, named["value"], is_answer)


def _of_schema(api: Api, place: str, schema: dict[str, Any]) -> Iterator[Example]:
    if "$ref" in schema:
        return
    for word in ("example", "default"):
        if word in schema:
            yield Example(api, f"{place} {word}", schema, schema[word], is_answer=True)
    for name, inner in schema.get("properties", {}).items():
        yield from _of_schema(api, f"{place}.{name}", inner)
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _of_schema(api, place, part)
    if isinstance(schema.get("items"), dict):
        yield from _of_schema(api, f"{place}[]", schema["items"])


@cache
def _validators(api_name: str) -> Validators:
    return Validators(next(api.document for api in spec_apis() if api.name == api_name))


EXAMPLES = [example for api in spec_apis() for example in examples(api)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_examples_and_defaults_fit(example: Example) -> None:
    validators = _validators(example.api.name)
    validator = (validators.response if example.is_answer else validators.request)(example.schema)
    assert validator.violations(example.value, "") == []


def test_an_example_that_does_not_fit_would_be_found() -> None:
    schema = {"type": "object", "properties": {"size": {"type": "integer"}}}
    assert _validators("clinic.v1").response(schema).violations({"size": "large"}, "")


def test_every_body_and_every_json_answer_has_an_example() -> None:
    missing = []
    for api in spec_apis():
        for operation in api.operations:
            nodes = {"body": operation.definition.get("requestBody"), **operation.definition["responses"]}
            for name, node in nodes.items():
                media = api.resolved(node).get("content", {}).get(JSON) if node else None
                if media is not None and not {"example", "examples"} & set(media):
                    missing.append(f"{operation.operation_id} {name}")
    assert missing == []


def test_examples_hold_no_words_of_other_specs() -> None:
    """Times in examples are text: YAML would make something else of them."""
    assert all(isinstance(example.value, dict | list | str | int | float | bool | None) for example in EXAMPLES)
