"""Goes through the schemas of a document, each with its place in the source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clinic_service.specification.apis import Api
from clinic_service.specification.source import Place

_SCHEMA_MEMBERS = ("items", "additionalProperties", "not")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")

Schemas = Iterator[tuple[Place, dict[str, Any]]]


def all_schemas(api: Api) -> Schemas:
    """Every schema of the document, each once: a schema that is referred to counts where it is defined."""
    for name, node in api.document["components"].get("schemas", {}).items():
        yield from _walk(api.bundle.places["schemas", name], node)
    for (kind, name), place in api.bundle.places.items():
        if kind == "paths":
            yield from _find(place, api.document["paths"][name])
        elif kind not in ("schemas", "examples"):
            yield from _find(place, api.document["components"][kind][name])


def request_schemas(api: Api) -> Schemas:
    """Every schema that a request body must fit, each once. The parts of a read-only schema are left out."""
    seen: set[str] = set()
    for operation in api.operations:
        body = api.resolved(operation.definition.get("requestBody", {}))
        for media_type, content in body.get("content", {}).items():
            place = operation.place / "requestBody" / "content" / media_type / "schema"
            yield from _reached(api, place, content.get("schema", {}), seen)


def children(place: Place, node: dict[str, Any]) -> Schemas:
    """The schemas directly within `node`, references included."""
    for name, member in node.get("properties", {}).items():
        yield place / "properties" / name, member
    for key in _SCHEMA_MEMBERS:
        if isinstance(node.get(key), dict):
            yield place / key, node[key]
    for key in _SCHEMA_LISTS:
        for index, member in enumerate(node.get(key, [])):
            yield place / key / index, member


def _reached(api: Api, place: Place, node: dict[str, Any], seen: set[str]) -> Schemas:
    if "$ref" in node:
        reference = node["$ref"]
        if reference not in seen:
            seen.add(reference)
            target = api.bundle.places["schemas", reference.rsplit("/", 1)[-1]]
            yield from _reached(api, target, api.component(reference), seen)
        return
    yield place, node
    if not node.get("readOnly"):
        for part, child in children(place, node):
            yield from _reached(api, part, child, seen)


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
        for part, child in children(place, node):
            yield from _walk(part, child)
