"""Rules about schemas: descriptions, bounds, null, and examples and defaults that fit."""

from __future__ import annotations

import re
from typing import Any

from clinic_service.api.validation import Validator, Validators
from clinic_service.cli.spec.check.findings import Faults
from clinic_service.cli.spec.check.schema_walk import all_schemas, request_schemas
from clinic_service.specification.apis import Api
from clinic_service.specification.source import Place

_ESCAPE_OR_CLASS = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]")
# Matches a pattern that has no upper length. Escapes and classes must be removed from the pattern before.
_UNBOUNDED = re.compile(r"[*+|]|\{\d+,\}")
_BOUNDED_FORMATS = frozenset({"date", "date-time"})


def schema_faults(api: Api, validators: Validators) -> Faults:
    """All other faults of schemas, in an API whose patterns have no faults."""
    for place, node in all_schemas(api):
        yield from _described(place, node)
        yield from _null(place, node)
        if node.get("type") == "array" and "maxItems" not in node:
            yield place, "an array needs maxItems"
    yield from value_faults(api, validators)
    yield from _bounds(api)


def value_faults(api: Api, validators: Validators) -> Faults:
    """Defaults and examples that do not fit the schemas they belong to."""
    for place, node in all_schemas(api):
        if "default" in node:
            yield from misfits(place / "default", "default", validators.request(node), node["default"])
        if "example" in node:
            yield from misfits(place / "example", "example", validators.response(node), node["example"])


def misfits(place: Place, what: str, validator: Validator, value: Any) -> Faults:
    """Each part of `value` that does not fit its schema. `value` is at `place`; messages call it `what`."""
    for violation in validator.violations(value, ""):
        message = f"{what} does not fit its schema at {violation.pointer or '/'} ({violation.rule})"
        yield place.at(violation.pointer), message


def _described(place: Place, node: dict[str, Any]) -> Faults:
    for name, member in node.get("properties", {}).items():
        if "$ref" not in member and not member.get("description") and not member.get("allOf"):
            yield place / "properties" / name, f"the property {name!r} has no description"


def _null(place: Place, node: dict[str, Any]) -> Faults:
    if "nullable" in node and "allOf" in node:
        yield place / "nullable", "nullable has no effect beside allOf"


def _bounds(api: Api) -> Faults:
    """Numbers in parameters and strings in request bodies must have an upper bound."""
    for operation in api.operations:
        for place, parameter in api.parameters(operation):
            schema = api.resolved(parameter.get("schema", {}))
            if schema.get("type") in ("integer", "number") and "maximum" not in schema:
                yield place / "schema", f"the parameter {parameter['name']!r} needs maximum"
    for place, node in request_schemas(api):
        # Read-only members are ignored in requests.
        if node.get("type") == "string" and not node.get("readOnly") and not _is_bounded(node):
            yield place, "a string in a request body needs maxLength"


def _is_bounded(node: dict[str, Any]) -> bool:
    if {"maxLength", "enum"} & node.keys() or node.get("format") in _BOUNDED_FORMATS:
        return True
    pattern = node.get("pattern", "")
    is_anchored = pattern.startswith("^") and pattern.endswith("$")
    return is_anchored and not _UNBOUNDED.search(_ESCAPE_OR_CLASS.sub("", pattern))
