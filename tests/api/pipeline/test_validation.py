"""Schemas as validators: the form of requests, the form of answers, and what is told about a value that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clinic_service.api.validation import Validator, Validators, has_more_parts, is_email

SCHEMAS: dict[str, Any] = {
    "id.v1": {"type": "string", "pattern": "^[a-f0-9]{4}$", "readOnly": True},
    "count.v1": {"type": "integer", "minimum": 0, "maximum": 10, "exclusiveMaximum": True},
    "note.v1": {"type": "string", "maxLength": 5, "nullable": True},
    "thing.v1": {
        "type": "object",
        "required": ["id", "name", "made", "owner"],
        "properties": {
            "id": {"$ref": "#/components/schemas/id.v1"},
            "name": {"type": "string", "minLength": 1, "description": "Its name."},
            "made": {"type": "string", "format": "date-time", "readOnly": True},
            "owner": {"allOf": [{"$ref": "#/components/schemas/id.v1"}]},
            "count": {"$ref": "#/components/schemas/count.v1"},
            "note": {"$ref": "#/components/schemas/note.v1"},
            "kind": {"type": "string", "enum": ["a", "b"], "nullable": True},
            "title": {"type": "string", "maxLength": 3},
            "day": {"type": "string", "format": "date"},
            "site": {"type": "string", "format": "uri"},
            "parts": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/thing.v1"}},
        },
    },
    "word.v1": {"type": "string", "pattern": "^([a-z]|[^\\x00-\\x7F])+$", "x-pattern": "^\\p{Ll}+$"},
    "closed.v1": {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
    "shown.v1": {
        "type": "object",
        "required": ["email", "author"],
        "properties": {
            "email": {"type": "string", "format": "email", "minLength": 6, "x-may-be-empty": True},
            "author": {"type": "string", "x-answer-may-be-absent": True},
            "number": {"type": "string", "x-request-pattern": "^[a-z]+$"},
        },
    },
}
VALIDATORS = Validators({"components": {"schemas": SCHEMAS}})
FULL = {"id": "00ff", "name": "x", "made": "2026-03-02T09:30:00Z", "owner": "00ff"}


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


REQUEST, ANSWER = VALIDATORS.request(reference("thing.v1")), VALIDATORS.response(reference("thing.v1"))
SHOWN_IN_REQUEST = VALIDATORS.request(reference("shown.v1"))
SHOWN_IN_ANSWER = VALIDATORS.response(reference("shown.v1"))


def found(value: Any, *, answer: bool = False) -> list[tuple[str, str]]:
    validator = ANSWER if answer else REQUEST
    violations = [violation[:2] for violation in validator.violations(value, "/body")]
    assert validator.is_valid(value) == (not violations)
    return violations


class TestForms:
    def test_requests_need_no_read_only_members_and_may_have_them(self) -> None:
        assert found({"name": "x"}) == []
        assert found(FULL) == []

    def test_read_only_members_that_are_sent_have_their_form(self) -> None:
        assert found({"name": "x", "id": "XX"}) == [("/body/id", "pattern")]

    def test_answers_need_all(self) -> None:
        assert found(FULL, answer=True) == []
        missing = [("/body/id", "required"), ("/body/made", "required"), ("/body/owner", "required")]
        assert found({"name": "x"}, answer=True) == missing

    def test_the_forms_hold_deep_inside_and_around_themselves(self) -> None:
        assert found({"name": "x", "parts": [{"name": "y", "parts": [{"name": "z"}]}]}) == []
        nested = {**FULL, "parts": [{**FULL, "parts": [{"name": "z", "id": "00ff", "owner": "00ff"}]}]}
        assert found(nested, answer=True) == [("/body/parts/0/parts/0/made", "required")]

    def test_empty_text_may_stand_for_none_where_the_spec_says_so(self) -> None:
        for validator in (SHOWN_IN_REQUEST, SHOWN_IN_ANSWER):
            assert validator.is_valid({"email": "", "author": "x"})
            assert not validator.is_valid({"email": "a", "author": "x"})

    def test_answers_leave_required_members_out_where_the_spec_says_so(self) -> None:
        assert SHOWN_IN_ANSWER.is_valid({"email": "a@b.example"})
        missing = [violation[:2] for violation in SHOWN_IN_REQUEST.violations({"email": "a@b.example"}, "/body")]
        assert missing == [("/body/author", "required")]

    @pytest.mark.parametrize("compiled", [VALIDATORS.request, VALIDATORS.response])
    def test_a_schema_with_properties_is_of_an_object(self, compiled: Callable[[dict[str, Any]], Validator]) -> None:
        validator = compiled({"properties": {"properties": {"maxLength": 1}, "example": {"maxLength": 1}}})
        assert [violation[1] for violation in validator.violations("text", "/body")] == ["type"]
        # The properties are called like keywords, and have no type themselves.
        assert validator.is_valid({"properties": "x", "example": 1})
        assert not validator.is_valid({"properties": "xy"})
        assert not validator.is_valid({"example": "xy"})

    def test_some_patterns_hold_for_requests_alone(self) -> None:
        shown = {"email": "", "author": "x", "number": "7"}
        assert SHOWN_IN_ANSWER.is_valid(shown)
        broken = [violation[:2] for violation in SHOWN_IN_REQUEST.violations(shown, "/body")]
        assert broken == [("/body/number", "pattern")]


class TestMeaning:
    @pytest.mark.parametrize(
        ("member", "value", "rule"),
        [
            ("count", 0, None),
            ("count", 9, None),
            ("count", 10, "maximum"),
            ("count", -1, "minimum"),
            ("count", 1.0, "type"),
            ("count", True, "type"),
            ("count", "1", "type"),
            ("count", None, "type"),
            ("note", None, None),
            ("note", "12345", None),
            ("note", "\U0001f600" * 5, None),
            ("note", "123456", "maxLength"),
            ("kind", None, None),
            ("kind", "a", None),
            ("kind", "c", "enum"),
            ("name", None, "type"),
            ("title", "abcd", "maxLength"),
            ("made", "2026-02-30T09:30:00Z", "format"),
            ("made", "2026-03-02", "format"),
            ("made", "2026-03-02T09:30:00Z\n", "format"),
            ("day", "2024-02-29", None),
            ("day", "0001-01-01", None),
            ("day", "0000-01-01", "format"),
            ("day", "2023-02-29", "format"),
            ("day", "20240229", "format"),
            ("day", "2024-W09-4", "format"),
            ("day", "2024-02-29\n", "format"),
            ("site", "https://harbour.example/a?b#c", None),
            ("site", "no address at all", "format"),
            ("id", "00ff\n", "pattern"),
            ("parts", [{"name": "x"}] * 3, "maxItems"),
            ("unknown", object, None),
        ],
    )
    def test_of_keywords(self, member: str, value: Any, rule: str | None) -> None:
        if value is object:
            value = {"any": ["thing"]}
        # `exclusiveMaximum` belongs to `maximum`, as the draft of OpenAPI 3.0 has it.
        rules = [name.replace("exclusiveMaximum", "maximum") for _, name in found({"name": "x", member: value})]
        assert rules == ([rule] if rule else [])

    @pytest.mark.parametrize("text", ["a@b", "A.b+c@d.example", "é@ü.example", "İ" * 126 + "@b"])
    def test_addresses(self, text: str) -> None:
        assert is_email(text)

    @pytest.mark.parametrize(
        "text", ["", "@", "a@", "@b", "a b@c", "a@b c", "a@b@c", "a@b,c", "a@<b>", "a@b\n", "a", "İ" * 200 + "@b"]
    )
    def test_no_addresses(self, text: str) -> None:
        assert not is_email(text)

    @pytest.mark.parametrize("more", [{}, {"x-may-be-empty": True}, {"nullable": True}, {"allOf": [{"maxLength": 9}]}])
    def test_answers_are_checked_for_the_same_addresses(self, more: dict[str, Any]) -> None:
        """By a pattern of the validator's engine, which by itself calls other characters white space than Python does."""
        checked = VALIDATORS.response({"type": "string", "format": "email", **more})
        for text in (
            "",
            "@",
            "a@",
            "@b",
            "a@b@c",
            *(form.format(chr(one)) for one in range(0xD800) for form in _WITHIN),
        ):
            may_be_empty = text == "" and "x-may-be-empty" in more
            assert checked.is_valid(text) == (is_email(text) or may_be_empty), ascii(text)
        assert checked.is_valid(None) == ("nullable" in more)
        assert checked.is_valid("a@bcdefghi") == ("allOf" not in more)


# Addresses with a character at their beginning, on both sides of the `@`, and at their end.
_WITHIN = ("{}a@b", "a{}@b", "a@{}b", "a@b{}")


class TestStrictPatterns:
    """`x-pattern` is enforced in place of the `pattern` beside it, in both forms and wherever it is referred to."""

    @pytest.mark.parametrize("make", [VALIDATORS.request, VALIDATORS.response])
    def test_are_enforced(self, make: Callable[[dict[str, Any]], Validator]) -> None:
        word = make({"type": "object", "properties": {"title": reference("word.v1")}})
        assert word.is_valid({"title": "é"})
        for other in ("\u2028", "É", ""):
            assert [violation[:2] for violation in word.violations({"title": other}, "/body")] == [
                ("/body/title", "pattern")
            ]


class TestViolations:
    def test_point_at_every_place(self) -> None:
        value = {"name": "", "count": "x", "parts": [{"name": "x"}, {"kind": "c"}]}
        assert sorted(found(value)) == [
            ("/body/count", "type"),
            ("/body/name", "minLength"),
            ("/body/parts/1/kind", "enum"),
            ("/body/parts/1/name", "required"),
        ]

    def test_never_repeat_names_that_the_sender_made_up(self) -> None:
        closed = VALIDATORS.request(reference("closed.v1"))
        open_ended = VALIDATORS.request({"type": "object", "additionalProperties": {"type": "integer"}})
        assert [tuple(v) for v in closed.violations({"canary": 1}, "/body")] == [
            ("/body", "additionalProperties", False)
        ]
        assert [tuple(v) for v in open_ended.violations({"canary": "x"}, "/body")] == [("/body/*", "type", "integer")]

    @pytest.mark.parametrize(
        ("member", "value", "expected"),
        [
            ("count", 10, 10),
            ("count", "canary", "integer"),
            ("note", "canary", 5),
            ("note", 1, ["null", "string"]),
            ("kind", "canary", ["a", "b", None]),
            ("made", "canary", "date-time"),
            ("id", "canary", "id.v1"),
            ("parts", [{"name": "canary"}] * 3, 2),
            ("name", "", 1),
        ],
    )
    def test_say_what_is_allowed(self, member: str, value: Any, expected: Any) -> None:
        (violation,) = REQUEST.violations({"name": "x", member: value}, "/body")
        assert violation.expected == expected

    def test_say_the_pattern_itself_where_it_has_no_name(self) -> None:
        (violation,) = VALIDATORS.request({"type": "string", "pattern": "^x$"}).violations("canary", "/query/x")
        assert violation.expected == "^x$"

    def test_say_the_format_of_addresses_that_may_be_empty(self) -> None:
        (violation,) = SHOWN_IN_REQUEST.violations({"email": "canary", "author": "x"}, "/body")
        assert violation == ("/body/email", "format", "email")

    def test_are_a_hundred_at_most(self) -> None:
        many = VALIDATORS.request({"type": "array", "items": reference("count.v1")})
        assert len(many.violations([-1] * 500, "/body")) == 100

    def test_are_one_where_listing_them_would_take_long(self) -> None:
        many = VALIDATORS.request({"type": "array", "items": reference("count.v1")})
        assert [tuple(v) for v in many.violations([-1] * 5000, "/body")] == [("/body/0", "minimum", 0)]


def test_parts_are_counted_however_deep() -> None:
    assert not has_more_parts({"a": [1, 2, {"b": 3}]}, 5)
    assert has_more_parts({"a": [1, 2, {"b": 3}]}, 4)
    assert not has_more_parts("x" * 5000, 1)
