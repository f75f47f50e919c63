"""Whether the places that an error body names are places that the operation has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clinic_service.specification.apis import Api, Operation
from tests.support.errors import spec_apis


def assert_pointers(method: str, path: str, status: int, errors: list[dict[str, Any]]) -> None:
    """Each of `errors` points at a parameter of the operation at `path` or into its body; a clash is always pointed at.

    An address of no operation of the spec is not looked at.
    """
    found = _find(method, path)
    if found is None:
        return
    assert errors or status == 400, f"{found[1].operation_id} answers {status} and does not say where"
    for error in errors:
        assert _has(*found, error["pointer"]), f"{found[1].operation_id} has no {error['pointer']}"


def _find(method: str, path: str) -> tuple[Api, Operation] | None:
    for api in spec_apis():
        for operation in api.operations:
            if operation.method == method.lower() and re.fullmatch(re.sub("{.*?}", "[^/]+", operation.path), path):
                return api, operation
    return None


def _has(api: Api, operation: Operation, pointer: str) -> bool:
    _, location, *names = pointer.split("/")
    if location == "body":
        return "requestBody" in operation.definition and _reaches(api, _body_schema(api, operation), names)
    declared = {(p["in"], p["name"]) for p in map(api.resolved, operation.definition["parameters"])}
    return not names or names[0] == "*" or (location, names[0]) in declared


def _body_schema(api: Api, operation: Operation) -> dict[str, Any]:
    body = api.resolved(operation.definition["requestBody"])
    schema: dict[str, Any] = body["content"]["application/json"]["schema"]
    return schema


def _reaches(api: Api, schema: dict[str, Any], names: list[str]) -> bool:
    """Whether a value of `schema` can have something at the place that `names` lead to."""
    schema = api.resolved(schema)
    if any(_reaches(api, part, names) for kind in ("allOf", "anyOf", "oneOf") for part in schema.get(kind, ())):
        return True
    return not names or any(_reaches(api, inner, names[1:]) for inner in _inner(schema, names[0]))


def _inner(schema: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    if name.isdecimal() and "items" in schema:
        yield schema["items"]
    if name in schema.get("properties", {}):
        yield schema["properties"][name]
    elif isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"]
