"""Schemas of the spec, compiled into validators in two forms.

Request form: read-only members are not required, as in OpenAPI 3.0, and neither are members with a default. Read-only
values that are sent are passed on, and the operation ignores them. Response form: all members in `required` are required,
except those with `x-answer-may-be-absent`. In both forms, a schema with properties admits only objects, even without a
type; `nullable` becomes a union with null; and an `x-pattern` is enforced instead of the weaker `pattern` beside it. An
`x-request-pattern` is enforced only in requests. Patterns run only in the validator's own engine, which reads `$` and
`\\d` as the spec means them. In the response form, e-mail addresses are checked by a pattern as well: lists have many of
them, and a call of a Python function for each would take half of the time of the check.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from clinic_service import texts
from clinic_service.clock import is_date
from clinic_service.errors import Violation
from clinic_service.specification.published import is_object_without_type

# Texts for readers carry no rule, and leaving them out makes compiling faster.
_WORDS = frozenset(
    {"description", "example", "examples", "title", "externalDocs", "deprecated", "discriminator", "xml"}
)
# Each listed error costs some 10 µs, so for a value with more parts than this only the first error is listed.
_MAX_PARTS = 1000
# How many places of a request an error names at most, as `error.v1` declares.
MAX_VIOLATIONS = 100
# Keywords whose value in the spec says what is allowed.
_BOUNDS = frozenset(
    {
        "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf", "maxLength", "minLength", "maxItems",
        "minItems", "maxProperties", "minProperties", "enum",
    }
)  # fmt: skip


def is_email(value: object) -> bool:
    """Whether the format `email` admits `value`; a value that is not text passes."""
    return not isinstance(value, str) or texts.is_email(value)


def _is_date(value: object) -> bool:
    """A day of the calendar, whose years begin with 1."""
    return not isinstance(value, str) or is_date(value)


_EMAIL_OR_EMPTY = "email-or-empty"
# The path of a keyword that stands directly in a named schema: components, schemas, the name, the keyword.
_LENGTH_OF_NAMED = 4
_EMAIL_PATTERNS = {"email": texts.EMAIL_PATTERN, _EMAIL_OR_EMPTY: f"^$|{texts.EMAIL_PATTERN}"}
FORMATS = {
    "email": is_email,
    _EMAIL_OR_EMPTY: lambda value: value == "" or is_email(value),
    "date": _is_date,
}


def has_more_parts(value: object, limit: int) -> bool:
    """Whether `value` has more than `limit` members and items, however deep."""
    parts, pending = 0, [value]
    while pending and parts <= limit:
        node = pending.pop()
        if isinstance(node, list | dict):
            parts += len(node)
            pending.extend(node.values() if isinstance(node, dict) else node)
    return parts > limit


class Validator:
    """One compiled schema."""

    def __init__(self, compiled: jsonschema_rs.Draft4Validator, known_names: frozenset[str]) -> None:
        self.is_valid = compiled.is_valid
        self._compiled = compiled
        self._known_names = known_names

    def violations(self, value: object, pointer: str) -> list[Violation]:
        """Places where `value`, which stands at `pointer`, breaks the schema: at most MAX_VIOLATIONS, and never a value."""
        errors = islice(self._errors(value), MAX_VIOLATIONS)
        return [
            Violation(pointer + self._pointer(error), str(error.schema_path[-1]), _expected(error)) for error in errors
        ]

    def _errors(self, value: object) -> Iterable[jsonschema_rs.ValidationError]:
        if not has_more_parts(value, _MAX_PARTS):
            return self._compiled.iter_errors(value)
        try:
            self._compiled.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []

    def _pointer(self, error: jsonschema_rs.ValidationError) -> str:
        path = list(error.instance_path)
        missing = getattr(error.kind, "property", None)
        if isinstance(missing, str):
            path.append(missing)
        return "".join(f"/{self._shown(part)}" for part in path)

    def _shown(self, part: str | int) -> str:
        # A key that is not in the spec is a value of the client, so it is not shown.
        if isinstance(part, int) or part in self._known_names:
            return str(part)
        return "*"


def _expected(error: jsonschema_rs.ValidationError) -> Any:
    """The value that the spec allows at the place of `error`. It contains nothing of the refused value."""
    rule, value = error.schema_path[-1], error.kind.value
    if rule in _BOUNDS:
        return value
    if rule == "type":
        return value[0] if len(value) == 1 else value
    if rule == "format":
        return "email" if value == _EMAIL_OR_EMPTY else value
    if rule == "pattern":
        return _pattern_name(error.schema_path) or value
    return rule != "additionalProperties"


def _pattern_name(path: Sequence[str | int]) -> str | None:
    """The name of the schema that consists mainly of this pattern: `clinicId.v1`. None for a pattern without a name."""
    is_named = len(path) == _LENGTH_OF_NAMED and list(path[:2]) == ["components", "schemas"]
    return str(path[2]) if is_named else None


class Validators:
    """Compiles schemas of one API document; references to its components are kept, and shared."""

    def __init__(self, document: dict[str, Any]) -> None:
        schemas = document.get("components", {}).get("schemas", {})
        self._known_names = frozenset(_property_names(document))
        self._registries = {
            form: jsonschema_rs.Registry(
                [(f"urn:{form}", {"components": {"schemas": _all_transformed(schemas, schemas, form)}})],
                # Without it, referenced schemas would be read by the newest draft, in which 1.0 is an integer.
                draft=jsonschema_rs.Draft4,
            )
            for form in ("request", "response")
        }
        self._schemas = schemas
        self._compiled: dict[tuple[str, bytes], Validator] = {}

    def request(self, schema: dict[str, Any]) -> Validator:
        """The validator of `schema` for what clients send."""
        return self._compile(schema, "request")

    def response(self, schema: dict[str, Any]) -> Validator:
        """The validator of `schema` for what the server answers."""
        return self._compile(schema, "response")

    def _compile(self, schema: dict[str, Any], form: str) -> Validator:
        # Many operations take or answer the same thing, and a compiled clinic alone takes half a megabyte.
        key = form, orjson.dumps(schema)
        if key not in self._compiled:
            self._compiled[key] = self._fresh(schema, form)
        return self._compiled[key]

    def _fresh(self, schema: dict[str, Any], form: str) -> Validator:
        compiled = jsonschema_rs.Draft4Validator(
            _absolute(_transformed(schema, self._schemas, form), f"urn:{form}"),
            registry=self._registries[form],
            formats=FORMATS,
            validate_formats=True,
        )
        return Validator(compiled, self._known_names)


def _transformed(node: Any, schemas: dict[str, Any], form: str) -> Any:
    if isinstance(node, list):
        return [_transformed(item, schemas, form) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _part(key, value, schemas, form) for key, value in node.items() if key not in _WORDS}
    if is_object_without_type(node):
        made["type"] = "object"
    if "x-pattern" in made:
        made["pattern"] = made.pop("x-pattern")
    if form == "request" and "x-request-pattern" in node:
        made["pattern"] = node["x-request-pattern"]
    if isinstance(made.get("required"), list):
        _release_absent(made, node, schemas, form)
    if node.get("nullable") is True:
        _allow_null(made)
    if node.get("x-may-be-empty") is True:
        _allow_empty(made)
    if form == "response" and made.get("format") in _EMAIL_PATTERNS:
        made["allOf"] = [*made.get("allOf", ()), {"pattern": _EMAIL_PATTERNS[made.pop("format")]}]
    return made


def _part(key: str, value: Any, schemas: dict[str, Any], form: str) -> Any:
    if key in ("enum", "required"):
        return copy.copy(value)
    if key == "properties":
        return _all_transformed(value, schemas, form)
    return _transformed(value, schemas, form)


def _all_transformed(named: dict[str, Any], schemas: dict[str, Any], form: str) -> dict[str, Any]:
    """The schemas in `named`, whose keys are names, also where they look like keywords."""
    return {name: _transformed(schema, schemas, form) for name, schema in named.items()}


def _release_absent(made: dict[str, Any], node: dict[str, Any], schemas: dict[str, Any], form: str) -> None:
    properties = node.get("properties", {})
    made["required"] = [
        name for name in node["required"] if not _may_be_absent(properties.get(name, {}), schemas, form)
    ]
    if not made["required"]:
        del made["required"]


def _may_be_absent(schema: dict[str, Any], schemas: dict[str, Any], form: str) -> bool:
    if form == "response":
        return schema.get("x-answer-may-be-absent") is True
    # What is left out of a request and has a default counts as given.
    return "default" in schema or _is_read_only(schema, schemas)


def _is_read_only(schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return _is_read_only(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    return bool(schema.get("readOnly")) or any(_is_read_only(part, schemas) for part in schema.get("allOf", []))


def _allow_null(made: dict[str, Any]) -> None:
    if isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    if "enum" in made:
        made["enum"] = [*made["enum"], None]


def _allow_empty(made: dict[str, Any]) -> None:
    """Admit the empty text beside the form of the text: it is sent for a required text without a value."""
    for keyword in ("minLength", "pattern"):
        made.pop(keyword, None)
    if made.get("format") == "email":
        made["format"] = _EMAIL_OR_EMPTY


def _absolute(node: Any, base: str) -> Any:
    if isinstance(node, list):
        return [_absolute(item, base) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"{base}{value}" if key == "$ref" and isinstance(value, str) else _absolute(value, base)
        for key, value in node.items()
    }


def _property_names(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"]
        for value in node.values():
            yield from _property_names(value)
    elif isinstance(node, list):
        for item in node:
            yield from _property_names(item)
