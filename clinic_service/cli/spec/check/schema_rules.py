"""Rules about schemas: bounds, patterns, null, and examples and defaults that fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from clinic_service.api.validation import Validator, Validators
from clinic_service.cli.spec.check.findings import Faults
from clinic_service.specification.apis import Api
from clinic_service.specification.source import Place

_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
_ESCAPE_OR_CLASS = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]")
_ENGINES_DIFFER = re.compile(r"(?<!\\)(\\\\)*\\[sSwWbBpP]")
# Matches a pattern that has no upper length. Escapes and classes must be removed from the pattern before.
_UNBOUNDED = re.compile(r"[*+|]|\{\d+,\}")
_BOUNDED_FORMATS = frozenset({"date", "date-time"})
_SCHEMA_MEMBERS = ("items", "additionalProperties", "not")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")

Schemas = Iterator[tuple[Place, dict[str, Any]]]


def pattern_faults(api: Api) -> Faults:
    """Patterns that some engine reads differently or not at all. While there is one, no validator can be compiled."""
    for place, node in _all_schemas(api):
        for keyword in ("pattern", "x-request-pattern", "x-pattern"):
            if isinstance(node.get(keyword), str):
                messages = _pattern_messages(node[keyword], is_portable=keyword == "pattern")
                yield from ((place / keyword, message) for message in messages)


def schema_faults(api: Api, validators: Validators) -> Faults:
    """All other faults of schemas, in an API whose patterns have none."""
    for place, node in _all_schemas(api):
        yield from _described(place, node)
        yield from _null(place, node)
        if node.get("type") == "array" and "maxItems" not in node:
            yield place, "an array needs maxItems"
    yield from value_faults(api, validators)
    yield from _bounds(api)


def value_faults(api: Api, validators: Validators) -> Faults:
    """Defaults and examples in schemas that do not fit them."""
    for place, node in _all_schemas(api):
        if "default" in node:
            yield from misfits(place / "default", "default", validators.request(node), node["default"])
        if "example" in node:
            yield from misfits(place / "example", "example", validators.response(node), node["example"])


def uncompiled_patterns(api: Api) -> Faults:
    """Patterns that the validator cannot read; it knows look-around, which is not portable, and references back."""
    for place, node in _all_schemas(api):
        if isinstance(node.get("pattern"), str):
            try:
                jsonschema_rs.Draft4Validator({"pattern": node["pattern"]})
            except ValueError:
                yield place / "pattern", "the pattern does not compile"


def misfits(place: Place, what: str, validator: Validator, value: Any) -> Faults:
    """Each part of `value` that does not fit its schema. `value` is at `place`; messages call it `what`."""
    for violation in validator.violations(value, ""):
        message = f"{what} does not fit its schema at {violation.pointer or '/'} ({violation.rule})"
        yield place.at(violation.pointer), message


def _pattern_messages(pattern: str, *, is_portable: bool) -> Iterator[str]:
    if _POSIX_CLASS.search(pattern):
        yield "a pattern may not hold POSIX classes such as [[:alpha:]]"
    if is_portable and _ENGINES_DIFFER.search(pattern):
        yield "engines read \\s, \\w, \\b and \\p differently or not at all; write such a rule in x-pattern"
    try:
        # Like RE2, this engine knows neither look-around nor back-references.
        jsonschema_rs.Draft4Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError:
        yield "the pattern does not compile in the regex engine of Rust, which has no look-around and no back-references"


def _described(place: Place, node: dict[str, Any]) -> Faults:
    for name, member in node.get("properties", {}).items():
        if "$ref" not in member and not member.get("description") and not member.get("allOf"):
            yield place / "properties" / name, f"the property {name!r} has no description"


def _null(place: Place, node: dict[str, Any]) -> Faults:
    if "nullable" in node and "allOf" in node:
        yield place / "nullable", "nullable has no effect beside allOf"


def _bounds(api: Api) -> Faults:
    """Numbers in parameters and strings in request bodies must have an upper bound."""
    seen: set[str] = set()
    for operation in api.operations:
        for place, parameter in api.parameters(operation):
            schema = api.resolved(parameter.get("schema", {}))
            if schema.get("type") in ("integer", "number") and "maximum" not in schema:
                yield place / "schema", f"the parameter {parameter['name']!r} needs maximum"
        body = api.resolved(operation.definition.get("requestBody", {}))
        for media_type, content in body.get("content", {}).items():
            place = operation.place / "requestBody" / "content" / media_type / "schema"
            yield from _unbounded_texts(api, place, content.get("schema", {}), seen)


def _unbounded_texts(api: Api, place: Place, node: dict[str, Any], seen: set[str]) -> Faults:
    reference = node.get("$ref")
    if reference and reference not in seen:
        seen.add(reference)
        target = api.bundle.places["schemas", reference.rsplit("/", 1)[-1]]
        yield from _unbounded_texts(api, target, api.component(reference), seen)
    # Read-only members are ignored in requests.
    elif not reference and not node.get("readOnly"):
        if node.get("type") == "string" and not _is_bounded(node):
            yield place, "a string in a request body needs maxLength"
        for part, child in _children(place, node):
            yield from _unbounded_texts(api, part, child, seen)


def _is_bounded(node: dict[str, Any]) -> bool:
    if {"maxLength", "enum"} & node.keys() or node.get("format") in _BOUNDED_FORMATS:
        return True
    pattern = node.get("pattern", "")
    is_anchored = pattern.startswith("^") and pattern.endswith("$")
    return is_anchored and not _UNBOUNDED.search(_ESCAPE_OR_CLASS.sub("", pattern))


def _all_schemas(api: Api) -> Schemas:
    """Every schema of the document, each once: a schema that is referred to counts where it is defined."""
    for name, node in api.document["components"].get("schemas", {}).items():
        yield from _walk(api.bundle.places["schemas", name], node)
    for (kind, name), place in api.bundle.places.items():
        if kind == "paths":
            yield from _find(place, api.document["paths"][name])
        elif kind not in ("schemas", "examples"):
            yield from _find(place, api.document["components"][kind][name])


def _find(place: Place, node: Any) -> Schemas:
    """The schemas in a part of the document that is not a schema itself."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key == "schema":
            yield from _walk(place / key, value)
        elif key not in ("example", "examples"):
            yield from _find(place / key, value)


def _walk(place: Place, node: Any) -> Schemas:
    """The schema `node` and every schema in it."""
    if isinstance(node, dict) and "$ref" not in node:
        yield place, node
        for part, child in _children(place, node):
            yield from _walk(part, child)


def _children(place: Place, node: dict[str, Any]) -> Schemas:
    for name, member in node.get("properties", {}).items():
        yield place / "properties" / name, member
    for key in _SCHEMA_MEMBERS:
        if isinstance(node.get(key), dict):
            yield place / key, node[key]
    for key in _SCHEMA_LISTS:
        for index, member in enumerate(node.get(key, [])):
            yield place / key / index, member
