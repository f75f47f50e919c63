"""Checks that a bundled document has the structure of OpenAPI 3.0, and finds the places where it has not.

The rules are the OpenAPI Initiative's own schema of OpenAPI documents, which comes with openapi-spec-validator. The check
runs before anything else reads the document, in the server too. Code that reads a document may rely on the types of its
members.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs

from clinic_service.specification.bundle import Bundle
from clinic_service.specification.source import Place

_REFERENCE = {"$ref": "#/definitions/Reference"}


Keys = tuple[str | int, ...]


def structure_faults(made: Bundle) -> Iterator[tuple[Place, str]]:
    """Each place of the source that breaks the structure of OpenAPI 3.0, and what is wrong there."""
    yield from ((made.place(keys), message) for keys, message in structure_errors(made))


def structure_errors(made: Bundle) -> Iterator[tuple[Keys, str]]:
    """As `structure_faults`, with the keys that lead to the part of the document."""
    try:
        errors = list(_validator().iter_errors(made.document))
    except ValueError:
        # An alias within its own anchor, in a part that is not copied when the document is put together.
        yield (), "something in the document contains itself"
        return
    for error in errors:
        for cause in _causes(error):
            keys = tuple(cause.instance_path)
            if cause.kind.name == "additionalProperties":
                yield from (((*keys, name), f"{name!r} is not known here") for name in cause.kind.value)
            else:
                yield keys, _message(cause)


@cache
def _validator() -> jsonschema_rs.Draft7Validator:
    package = find_spec("openapi_spec_validator")
    assert package, "the package is a requirement of this program"
    assert package.submodule_search_locations
    file = Path(package.submodule_search_locations[0]) / "resources" / "schemas" / "v3.0" / "schema.json"
    schema = _decided(json.loads(file.read_text(encoding="utf-8")))
    return jsonschema_rs.Draft7Validator(schema, validate_formats=False)


def _decided(node: Any) -> Any:
    """The schema, with `oneOf` of an object and a reference rewritten as if/then/else, so that an error names its cause."""
    if isinstance(node, list):
        return [_decided(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _decided(value) for key, value in node.items() if key != "$schema"}
    alternatives = made.get("oneOf")
    if isinstance(alternatives, list) and _REFERENCE in alternatives:
        del made["oneOf"]
        *objects, last = [one for one in alternatives if one != _REFERENCE]
        # The alternatives are a reference, an object and, in one place, a boolean.
        made |= _decision({"required": ["$ref"]}, _REFERENCE, _decision({}, objects[0], last) if objects else last)
    if made.get("exclusiveMinimum") is True:
        # Spelled as in the later drafts, which know if/then/else.
        made["exclusiveMinimum"] = made.pop("minimum")
    return made


def _decision(condition: dict[str, Any], then: Any, otherwise: Any) -> dict[str, Any]:
    return {"if": {"type": "object", **condition}, "then": then, "else": otherwise}


def _causes(error: jsonschema_rs.ValidationError) -> Iterator[jsonschema_rs.ValidationError]:
    """The errors that caused `error`. Of several alternatives, the errors of the best fitting one."""
    alternatives = getattr(error.kind, "context", None)
    if not alternatives:
        yield error
        return
    for cause in min(alternatives, key=len):
        yield from _causes(cause)


def _message(error: jsonschema_rs.ValidationError) -> str:
    allowed = error.kind.value
    match error.kind.name:
        case "required":
            return f"{allowed!r} is missing here"
        case "type":
            return f"must be of the type {' or '.join(allowed)}"
        case "enum":
            return f"must be one of {', '.join(map(str, allowed))}"
        case "pattern":
            return f"must match {allowed}"
        case rule:
            return f"breaks the rule {rule!r} of OpenAPI 3.0"
