"""Rules against parts of the spec that code generators misread, or turn into code that does not compile."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import jsonschema_rs

from clinic_service.api.validation import FORMATS
from clinic_service.cli.spec.check.findings import Faults
from clinic_service.cli.spec.check.operation_rules import examples
from clinic_service.cli.spec.check.schema_walk import all_schemas, request_schemas
from clinic_service.specification.apis import Api, Operation
from clinic_service.specification.published import enum_names
from clinic_service.specification.source import Place

_NO_NAME = re.compile(r"[^a-z0-9]")
_INPUT = "Input.v1"
# Formats that only describe how a text is encoded or shown: they admit every text.
_FREE_FORMATS = frozenset({"binary", "byte", "password"})
# Bodies are read with numbers of these sizes.
_NUMBER_FORMATS = {"integer": ("int64",), "number": ("float", "double")}
# A text that no enforced format admits.
_UNFORMATTED = " \x01 "


def client_faults(api: Api) -> Faults:
    """Everything in an API that is known to cause faults in generated clients."""
    yield from _info(api)
    yield from _names(api)
    yield from _ambiguous_urls(api)
    yield from _request_members(api)
    yield from _pairs(api)
    for place, node in all_schemas(api):
        yield from _alternatives(api, place, node)
        yield from _all_of(api, place, node)
        yield from _read_only(place, node)
        yield from _further_members(api, place, node)
        yield from _format(place, node)
        yield from _enum(place, node)


def _info(api: Api) -> Faults:
    for member in ("contact", "license"):
        if not api.document["info"].get(member):
            yield api.bundle.root / "info", f"info has no {member}"
    if not api.document.get("servers"):
        yield api.bundle.root, "the document has no servers"


def _names(api: Api) -> Faults:
    """Names must differ in more than letter case and punctuation, because generated code has other rules for names."""
    named = api.document["components"].get("schemas", {})
    yield from _alike("schemas", ((name, api.bundle.places["schemas", name]) for name in named))
    yield from _alike("operations", ((one.operation_id, one.place / "operationId") for one in api.operations))
    for operation in api.operations:
        found = ((parameter["name"], place) for place, parameter in api.parameters(operation))
        yield from _alike(f"parameters of {operation.operation_id}", found)
    for place, node in all_schemas(api):
        members = ((name, place / "properties" / name) for name in node.get("properties", {}))
        yield from _alike("properties", members)


def _alike(kind: str, named: Iterable[tuple[str, Place]]) -> Faults:
    seen: dict[str, str] = {}
    for name, place in named:
        first = seen.setdefault(_NO_NAME.sub("", name.lower()), name)
        if first != name:
            yield place, f"the {kind} {first!r} and {name!r} get the same name in generated code"


def _ambiguous_urls(api: Api) -> Faults:
    """No request may match two URLs: a parameter of one URL must not have the fixed part of the other as its value."""
    by_path: dict[str, Operation] = {}
    for operation in api.operations:
        by_path.setdefault(operation.path, operation)
    for one, other in combinations(by_path.values(), 2):
        pairs = list(zip(one.path.split("/"), other.path.split("/"), strict=False))
        if one.path.count("/") == other.path.count("/") and not any(_tells_apart(api, one, other, *p) for p in pairs):
            yield other.url_place, f"the same request fits {one.path} and {other.path}"


def _tells_apart(api: Api, one: Operation, other: Operation, part: str, other_part: str) -> bool:
    """Whether no segment of a request matches both `part` of one URL and `other_part` of the other."""
    if part.startswith("{") and other_part.startswith("{"):
        return False
    if part.startswith("{"):
        return not _admits(api, one, part, other_part)
    if other_part.startswith("{"):
        return not _admits(api, other, other_part, part)
    return part != other_part


def _admits(api: Api, operation: Operation, part: str, text: str) -> bool:
    """Whether the parameter `part` can have the value `text`. A description that mentions the text excludes it."""
    for _, parameter in api.parameters(operation):
        if parameter["in"] == "path" and parameter["name"] == part.strip("{}"):
            schema = api.resolved(parameter["schema"])
            rules: dict[str, Any] = {
                key: schema[key] for key in ("pattern", "enum", "minLength", "maxLength") if key in schema
            }
            is_documented = f"`{text}`" in parameter.get("description", "")
            return not is_documented and jsonschema_rs.Draft4Validator(rules).is_valid(text)
    return True


def _request_members(api: Api) -> Faults:
    """A request must not need members that generated clients do not send, such as read-only members.

    Generated clients demand all required members, so a member with a default must not be required.
    """
    for place, node in request_schemas(api):
        for name in node.get("required", []):
            member = node.get("properties", {}).get(name, {})
            if _is_read_only(member):
                yield place / "required", f"a request needs {name!r}, so it cannot be read-only"
            if "default" in member:
                yield place / "required", f"{name!r} has a default, so a request does not need it"
    for operation in api.operations:
        body = api.resolved(operation.definition.get("requestBody", {}))
        for media_type, content in body.get("content", {}).items():
            here = operation.place / "requestBody" / "content" / media_type
            for keys, example in examples(content):
                yield from _ignored(api, Place(here.file, (*here.keys, *keys)), content.get("schema", {}), example)


def _ignored(api: Api, place: Place, schema: dict[str, Any], example: Any) -> Faults:
    """The members of an example of a request that are read-only in its schema."""
    node = api.resolved(schema)
    if isinstance(example, list):
        for index, item in enumerate(example):
            yield from _ignored(api, place / index, node.get("items", {}), item)
    elif isinstance(example, dict):
        for name, member in node.get("properties", {}).items():
            if name in example and _is_read_only(member):
                yield place / name, f"{name!r} is read-only, so a generated client does not send it"
            elif name in example:
                yield from _ignored(api, place / name, member, example[name])


def _pairs(api: Api) -> Faults:
    """Clients change an answer and send it back, so the schema of the request must have all members of the answer."""
    schemas = api.document["components"].get("schemas", {})
    for name, schema in schemas.items():
        answer = schemas.get(f"{name.removesuffix(_INPUT)}.v1") if name.endswith(_INPUT) else None
        members = [one.get("properties", {}).keys() for one in (answer or {}, schema)]
        # A schema without members is reported by another rule.
        for missing in sorted(members[0] - members[1]) if members[1] else ():
            yield api.bundle.places["schemas", name] / "properties", f"{missing!r} of the answer's schema is missing"


def _is_read_only(node: dict[str, Any]) -> bool:
    return node.get("readOnly") is True


def _alternatives(api: Api, place: Place, node: dict[str, Any]) -> Faults:
    """A decoder must be able to tell from the value which alternative it is."""
    for keyword in ("anyOf", "oneOf"):
        parts = [_followed(api, part) for part in node.get(keyword, [])]
        if "discriminator" not in node and not all(_differ(a, b) for a, b in combinations(parts, 2)):
            yield place / keyword, f"a decoder cannot tell the alternatives of {keyword} apart"


def _differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the two have different types, or each requires a member that the other does not have."""
    types = one.get("type"), other.get("type")
    if None not in types and types[0] != types[1]:
        return True
    return types == ("object", "object") and _has_own(one, other) and _has_own(other, one)


def _has_own(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return not set(one.get("required", [])) <= other.get("properties", {}).keys()


def _all_of(api: Api, place: Place, node: dict[str, Any]) -> Faults:
    """With one part, `allOf` only adds a description. With several parts, it must make a class with the members of all."""
    parts = [_followed(api, part) for part in node.get("allOf", [])]
    if len(parts) > 1 and any("properties" not in part and "allOf" not in part for part in parts):
        yield (
            place / "allOf",
            "several parts of allOf must be objects with properties; write anything else as one schema",
        )


def _read_only(place: Place, node: dict[str, Any]) -> Faults:
    """`readOnly` belongs to a property and not to a named schema, which paths and requests may use as well."""
    if _is_read_only(node) and "properties" not in place.keys[-2:-1]:
        yield place / "readOnly", "a named schema cannot be readOnly; say so at the property"


def _further_members(api: Api, place: Place, node: dict[str, Any]) -> Faults:
    """Additional members must have the type of the named members, because typed languages have one type for both."""
    further = node.get("additionalProperties")
    if not isinstance(further, dict) or not further:
        return
    for name, member in node.get("properties", {}).items():
        if _followed(api, member) != _followed(api, further):
            yield place / "properties" / name, f"additionalProperties has another type than the property {name!r}"


def _format(place: Place, node: dict[str, Any]) -> Faults:
    """The server must enforce every format in the spec, because clients rely on it."""
    name = node.get("format")
    if node.get("type") in _NUMBER_FORMATS and name is not None and name not in _NUMBER_FORMATS[node["type"]]:
        yield place / "format", f"the server does not enforce the format {name!r}"
    if node.get("type") == "string" and name is not None and name not in _FREE_FORMATS:
        validator = jsonschema_rs.Draft4Validator({"format": name}, formats=FORMATS, validate_formats=True)
        if validator.is_valid(_UNFORMATTED):
            yield place / "format", f"the server does not enforce the format {name!r}"


def _enum(place: Place, node: dict[str, Any]) -> Faults:
    names = Counter(enum_names(node.get("enum", [])) or [])
    for name, count in names.items():
        if count > 1:
            yield place / "enum", f"{count} values get the name {name} in generated code"


def _followed(api: Api, node: dict[str, Any]) -> dict[str, Any]:
    resolved = api.resolved(node)
    parts = resolved.get("allOf", [])
    return _followed(api, parts[0]) if len(parts) == 1 else resolved
