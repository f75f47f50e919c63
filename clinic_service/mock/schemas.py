"""Flattens schemas: follows references, and combines the parts of `allOf` into one object."""

from __future__ import annotations

from typing import Any

from clinic_service.specification.apis import Api

Schema = dict[str, Any]
# The stricter of two bounds applies.
_GREATER = ("minimum", "minLength", "minItems", "minProperties")
_LESSER = ("maximum", "maxLength", "maxItems", "maxProperties")
_TYPE_OF_KEYWORD = {
    "properties": "object",
    "additionalProperties": "object",
    "required": "object",
    "items": "array",
    "pattern": "string",
    "format": "string",
    "maxLength": "string",
    "minLength": "string",
    "maximum": "number",
    "minimum": "number",
}


def flattened(api: Api, schema: Schema) -> Schema:
    """`schema` without a reference and without `allOf`. Alternatives (`oneOf`, `anyOf`) are kept."""
    while "$ref" in schema:
        schema = api.component(schema["$ref"])
    if "allOf" not in schema:
        return schema
    made = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        made = combined(made, flattened(api, part))
    return made


def combined(first: Schema, second: Schema) -> Schema:
    """The schema of values that both schemas admit, as far as possible without `allOf` at the top level."""
    made = {**second, **first}
    for key in first.keys() & second.keys():
        made[key] = _combined(key, first[key], second[key])
    return made


def _combined(key: str, first: Any, second: Any) -> Any:
    if key == "properties":
        both = {name: {"allOf": [first[name], second[name]]} for name in first.keys() & second.keys()}
        return {**first, **second, **both}
    if key == "required":
        return list(dict.fromkeys([*first, *second]))
    if key == "enum":
        return [value for value in first if value in second]
    if key in _GREATER:
        return max(first, second)
    if key in _LESSER:
        return min(first, second)
    if key == "type":
        return "integer" if {first, second} == {"integer", "number"} else first
    if key in ("nullable", "additionalProperties") and isinstance(first, bool) and isinstance(second, bool):
        return first and second
    return first


def type_of(schema: Schema) -> str | None:
    """The type of a flattened schema, or the type that its keywords suggest; None for any value."""
    if isinstance(schema.get("type"), str):
        return str(schema["type"])
    return next((kind for keyword, kind in _TYPE_OF_KEYWORD.items() if keyword in schema), None)
