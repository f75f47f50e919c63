"""The document for programs that do not know our extensions, such as generators of clients.

Some extensions decide whether an answer can be decoded. In this document, keywords of OpenAPI express their meaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# The values of these keys are data, in which nothing is a schema.
_LITERAL = frozenset({"example", "examples", "default", "enum"})
# These extensions are only for the server, or are expressed by keywords of OpenAPI. A client that applied them would apply
# a rule for one direction to both.
_LEFT_OUT = frozenset({"x-may-be-empty", "x-answer-may-be-absent", "x-request-pattern"})
# The rules that an empty text may break.
_OF_TEXT = ("minLength", "pattern", "format")
_SIGNS = ((re.compile(r"\+"), " plus "), (re.compile(r"(?<![0-9])-(?=[0-9])|^-"), " minus "))
_END_OF_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[^A-Za-z0-9]+")


def published(document: dict[str, Any]) -> dict[str, Any]:
    """`document`, in which keywords of OpenAPI express the meaning of our extensions.

    Texts with `x-may-be-empty` have no rule that the empty text breaks, members with `x-answer-may-be-absent` are not
    required, and these two and `x-request-pattern` are left out. Schemas with properties have the type `object`, and enums
    from whose values generators cannot derive names get names (`x-enum-varnames`).
    """
    made: dict[str, Any] = _published(document, is_map=False)
    return made


def is_object_without_type(schema: dict[str, Any]) -> bool:
    """Whether `schema` describes an object by its properties, without a type."""
    return "type" not in schema and isinstance(schema.get("properties"), dict)


def enum_names(values: Sequence[Any]) -> list[str] | None:
    """A name for each of the texts `values`, such as `GMT_PLUS_0`; None if generators can derive names on their own."""
    if not all(isinstance(value, str) for value in values):
        return None
    plain = {_BETWEEN_WORDS.sub("", value).lower() for value in values}
    can_derive = len(plain) == len(values) and all(name[:1].isalpha() for name in plain)
    return None if can_derive else [_name(value) for value in values]


def _published(node: Any, *, is_map: bool) -> Any:
    if isinstance(node, list):
        return [_published(item, is_map=False) for item in node]
    if not isinstance(node, dict):
        return node
    if is_map:
        return {name: _published(member, is_map=False) for name, member in node.items()}
    made = {
        key: value if key in _LITERAL else _published(value, is_map=key == "properties")
        for key, value in node.items()
        if key not in _LEFT_OUT
    }
    if node.get("x-may-be-empty") is True:
        made = {key: value for key, value in made.items() if key not in _OF_TEXT}
    if is_object_without_type(node):
        made["type"] = "object"
    if isinstance(node.get("required"), list):
        made["required"] = [name for name in node["required"] if not _may_be_absent(node, name)]
        if not made["required"]:
            del made["required"]
    if isinstance(node.get("enum"), list) and (names := enum_names(node["enum"])):
        made["x-enum-varnames"] = names
    return made


def _may_be_absent(schema: dict[str, Any], name: str) -> bool:
    return schema.get("properties", {}).get(name, {}).get("x-answer-may-be-absent") is True


def _name(value: str) -> str:
    for sign, word in _SIGNS:
        value = sign.sub(word, value)
    name = _BETWEEN_WORDS.sub("_", _END_OF_WORD.sub("_", value)).strip("_").upper()
    if not name:
        return "EMPTY"
    return name if name[0].isalpha() else f"VALUE_{name}"
