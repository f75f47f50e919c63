"""`x-audit` of the spec: whether an operation concerns the data of people, and where a request says whose data it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.specification.apis import Api

JSON = "application/json"
# The ids of clinics and of users. Other text is never recorded, because it could be a name.
_ID = re.compile(r"[0-9a-f]{24}|[0-9a-f]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RULE = re.compile(
    r"none|people|subject:\w+|subject-in-answer:/\w+|patients-in-answer(:(/(\w+|\*))+)?|patients-in-body"
)
_EVERY = "*"


class AuditRuleError(ValueError):
    """`x-audit` is missing, is not one of the known words, or names a place that the operation does not have."""


@dataclass(frozen=True)
class AuditRule:
    """The content of `x-audit`. At most one of the places is given.

    `reads_people`: an answer holds data of people, so each is recorded. `parameter`: the path parameter with the user id of
    the subject. `member`: the member of the answer with that id. `answer_list`, `body_list`: where the list of patients is.
    `members`: the names of the members that a body can have.
    """

    reads_people: bool
    parameter: str | None = None
    member: str | None = None
    answer_list: tuple[str, ...] | None = None
    body_list: bool = False
    members: frozenset[str] = frozenset()

    def subject(self, path: Mapping[str, str], answer: Any) -> str | None:
        """The user id of the one person whose data the request is about; None when it is not known."""
        if self.parameter:
            return id_or_none(path.get(self.parameter))
        return id_or_none(answer.get(self.member)) if self.member and isinstance(answer, dict) else None

    def patients(self, body: Any, answer: Any) -> int | None:
        """How many people are in the list that the request is about; None when it is about no list."""
        if self.body_list:
            return len(body) if isinstance(body, list) else None
        if self.answer_list is None or answer is None:
            return None
        return _count(answer, self.answer_list)

    def named(self, body: Any) -> frozenset[str]:
        """The members of a request's body that the spec declares."""
        return self.members.intersection(body) if isinstance(body, dict) else frozenset()


NOT_AUDITED = AuditRule(reads_people=False)


def id_or_none(value: Any) -> str | None:
    """`value` if it is an id of a clinic or a user."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def compile_audit(api: Api, path: str, definition: Mapping[str, Any]) -> AuditRule:
    """The rule of an operation at `path`. Raises AuditRuleError."""
    text = definition.get("x-audit")
    if not isinstance(text, str) or not _RULE.fullmatch(text):
        raise AuditRuleError(f"x-audit must be one of the words that the README of the spec lists, not {text!r}")
    word, _, place = text.partition(":")
    members = frozenset(_properties(api, _body_schema(api, definition)))
    if word == "subject":
        if f"{{{place}}}" not in path:
            raise AuditRuleError(f"x-audit names {place!r}, which is no parameter of the path")
        return AuditRule(reads_people=True, parameter=place, members=members)
    if word == "subject-in-answer":
        _require_place(api, definition, [place[1:]])
        return AuditRule(reads_people=True, member=place[1:], members=members)
    if word == "patients-in-answer":
        keys = place.split("/")[1:]
        _require_place(api, definition, keys)
        return AuditRule(reads_people=True, answer_list=tuple(keys), members=members)
    return AuditRule(reads_people=word != "none", body_list=word == "patients-in-body", members=members)


def _count(value: Any, keys: tuple[str, ...]) -> int:
    """How many items are at the place; `*` stands for every member."""
    if not keys:
        return len(value) if isinstance(value, list | dict) else 0
    if not isinstance(value, dict):
        return 0
    head, *rest = keys
    found = list(value.values()) if head == _EVERY else [value[head]] if head in value else []
    return sum(_count(item, tuple(rest)) for item in found)


def _require_place(api: Api, definition: Mapping[str, Any], keys: list[str]) -> None:
    status = min(status for status in definition["responses"] if status.startswith("2"))
    schema = api.resolved(definition["responses"][status]).get("content", {}).get(JSON, {}).get("schema", {})
    for key in keys:
        resolved = api.resolved(schema)
        schema = resolved.get("additionalProperties") if key == _EVERY else _properties(api, schema).get(key)
        if not isinstance(schema, dict):
            raise AuditRuleError(f"x-audit names {key!r}, which the answer does not have")


def _body_schema(api: Api, definition: Mapping[str, Any]) -> dict[str, Any]:
    body = api.resolved(definition.get("requestBody", {}))
    schema: dict[str, Any] = body.get("content", {}).get(JSON, {}).get("schema", {})
    return schema


def _properties(api: Api, schema: dict[str, Any]) -> dict[str, Any]:
    resolved = api.resolved(schema)
    found = dict(resolved.get("properties", {}))
    for part in resolved.get("allOf", []):
        found |= _properties(api, part)
    return found
