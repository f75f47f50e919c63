"""Path and query parameters: from text to values, and every way to be refused."""

from __future__ import annotations

import string
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_service.api.parameters import Parameters, PlanError, snake_case
from clinic_service.errors import BadRequest
from tests.support.small import small_parameters


def query(name: str, schema: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, **members}


TEXT = {"type": "string"}
LIST = {"type": "array", "items": {"type": "string", "pattern": "^[a-z]*$"}, "maxItems": 3}
PARAMETERS = small_parameters(
    query("text", TEXT),
    query("short", {"type": "string", "minLength": 1, "maxLength": 3}),
    query("choice", {"type": "string", "enum": ["one", "two"]}),
    query("pattern", {"type": "string", "pattern": "^\\d{2}$"}),
    query("word", {"type": "string", "pattern": "^\\p{L}+$"}),
    query("email", {"type": "string", "format": "email"}),
    query("date", {"type": "string", "format": "date"}),
    query("time", {"type": "string", "format": "date-time"}),
    query("count", {"type": "integer", "minimum": -5, "maximum": 1000}),
    query("any.integer", {"type": "integer"}),
    query("number", {"type": "number", "minimum": -1}),
    query("any-number", {"type": "number"}),
    query("flag", {"type": "boolean"}),
    query("list", LIST, explode=False),
    query("named", {"$ref": "#/components/schemas/small"}),
    query("code", {"$ref": "#/components/schemas/code.v1"}),
    schemas={"small": {"type": "integer", "maximum": 9}, "code.v1": {"type": "string", "pattern": "^[A-Z]$"}},
)


def read(text: str) -> dict[str, Any]:
    return PARAMETERS.read({}, text)[1]


def refusal(text: str, parameters: Parameters = PARAMETERS) -> list[tuple[str, str]]:
    with pytest.raises(BadRequest) as caught:
        parameters.read({}, text)
    return [(violation.pointer, violation.rule) for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("text=a+b%20c", "text", "a b c"),
        ("text=", "text", ""),
        ("text", "text", ""),
        ("text=a=b", "text", "a=b"),
        ("text=%C3%A9%F0%9F%98%80", "text", "é😀"),
        ("text=%2525", "text", "%25"),
        ("text=100%", "text", "100%"),
        ("text=%zz", "text", "%zz"),
        ("text=a;flag=1", "text", "a;flag=1"),
        ("%74ext=a", "text", "a"),
        ("short=%F0%9F%98%80%F0%9F%98%80%F0%9F%98%80", "short", "😀😀😀"),
        ("word=J%C3%B6rg", "word", "Jörg"),
        ("email=a@b", "email", "a@b"),
        ("date=2024-02-29", "date", "2024-02-29"),
        ("time=2026-03-02T09:30:00.1239Z", "time", datetime(2026, 3, 2, 9, 30, 0, 123000, tzinfo=UTC)),
        ("time=2026-03-02t09:30:00z", "time", datetime(2026, 3, 2, 9, 30, tzinfo=UTC)),
        ("time=2026-03-02T09:30:00%2B02:00", "time", datetime(2026, 3, 2, 7, 30, tzinfo=UTC)),
        ("count=-5", "count", -5),
        ("count=%2B5", "count", 5),
        ("count=007", "count", 7),
        ("count=1000", "count", 1000),
        ("any.integer=999999999999999999", "any.integer", 999999999999999999),
        ("number=1", "number", 1.0),
        ("number=.5", "number", 0.5),
        ("number=5.", "number", 5.0),
        ("any-number=-1.5e%2B3", "any-number", -1500.0),
        ("flag=true", "flag", True),
        ("flag=false", "flag", False),
        ("list=a,b", "list", ["a", "b"]),
        ("list=", "list", []),
        ("list=a,,b", "list", ["a", "", "b"]),
        ("named=9", "named", 9),
    ],
)
def test_values(text: str, name: str, value: Any) -> None:
    found = read(text)[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "name", "rule"),
    [
        ("text=%00", "text", "characters"),
        ("text=a%00b", "text", "characters"),
        ("short=", "short", "minLength"),
        ("short=abcd", "short", "maxLength"),
        ("choice=three", "choice", "enum"),
        ("choice=ONE", "choice", "enum"),
        ("choice=", "choice", "enum"),
        ("pattern=12%0A", "pattern", "pattern"),
        ("pattern=%D9%A1%D9%A2", "pattern", "pattern"),
        ("word=a1", "word", "pattern"),
        ("email=nobody", "email", "format"),
        ("email=a@b@c", "email", "format"),
        ("date=2026-02-29", "date", "format"),
        ("date=2026-13-01", "date", "format"),
        ("date=2026-1-1", "date", "format"),
        ("date=2026-03-02T00:00:00Z", "date", "format"),
        ("time=2026-03-02", "time", "format"),
        ("time=2026-03-02T09:30:00", "time", "format"),
        ("time=2026-03-02T25:30:00Z", "time", "format"),
        ("time=2026-03-02T09:30:00+02:00", "time", "format"),
        ("time=0001-01-01T00:00:00%2B10:00", "time", "format"),
        ("time=", "time", "format"),
        ("count=-6", "count", "minimum"),
        ("count=1001", "count", "maximum"),
        ("count=", "count", "type"),
        ("count", "count", "type"),
        ("count=1_000", "count", "type"),
        ("count=%205", "count", "type"),
        ("count=5%0A", "count", "type"),
        ("count=1.0", "count", "type"),
        ("count=1e2", "count", "type"),
        ("count=0x10", "count", "type"),
        ("count=%D9%A5", "count", "type"),
        ("count=null", "count", "type"),
        ("count=%zz", "count", "type"),
        ("count=--5", "count", "type"),
        ("any.integer=9223372036854775808", "any.integer", "type"),
        ("any.integer=" + "1" * 5000, "any.integer", "type"),
        ("number=-1.01", "number", "minimum"),
        ("number=nan", "number", "type"),
        ("any-number=NaN", "any-number", "type"),
        ("any-number=inf", "any-number", "type"),
        ("any-number=-Infinity", "any-number", "type"),
        ("any-number=1e999", "any-number", "type"),
        ("any-number=-1e999", "any-number", "type"),
        ("any-number=" + "1" * 400, "any-number", "type"),
        ("any-number=1e", "any-number", "type"),
        ("any-number=.", "any-number", "type"),
        ("any-number=1,5", "any-number", "type"),
        ("flag=True", "flag", "type"),
        ("flag=1", "flag", "type"),
        ("flag=", "flag", "type"),
        ("list=a,B", "list/1", "pattern"),
        ("list=a,b,c,d", "list", "maxItems"),
        ("list=" + "A," * 5000, "list", "maxItems"),
        ("named=10", "named", "maximum"),
        ("text=a&text=a", "text", "repeated"),
        ("list=a&list=b", "list", "repeated"),
        ("flag=true&text=x&flag=", "flag", "repeated"),
    ],
)
def test_refusals(text: str, name: str, rule: str) -> None:
    assert refusal(text) == [(f"/query/{name}", rule)]


@pytest.mark.parametrize("text", ["text=%ff", "%ff=1", "text=%C3", "text=%ED%A0%80", "text=\xff", "x=" + "&x=" * 1001])
def test_query_strings_that_cannot_be_read(text: str) -> None:
    assert refusal(text) == [("/query", "encoding")]


def test_unknown_names_are_ignored_and_names_are_exact() -> None:
    assert read("unknown=1&Text=x&text%20=x&&=&any_integer=1&anyinteger=2&any.integer=3") == {"any.integer": 3}


def test_every_wrong_parameter_is_named_in_the_order_of_the_request() -> None:
    assert refusal("count=x&text=ok&flag=maybe&short=&count=y&list=a,B") == [
        ("/query/count", "repeated"),
        ("/query/flag", "type"),
        ("/query/short", "minLength"),
        ("/query/list/1", "pattern"),
    ]


def test_more_wrong_parameters_than_an_error_body_holds_are_cut() -> None:
    many = small_parameters(*(query(f"p{number}", {"type": "integer"}) for number in range(150)))
    assert len(refusal("&".join(f"p{number}=x" for number in range(150)), many)) == 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count=1001", 1000),
        ("count=x", "integer"),
        ("short=abcd", 3),
        ("choice=three", ["one", "two"]),
        ("pattern=x", "^\\d{2}$"),
        ("code=x", "code.v1"),
        ("time=x", "date-time"),
        ("time=0001-01-01T00:00:00%2B10:00", "date-time"),
        ("flag=1", "boolean"),
        ("list=a,b,c,d", 3),
        ("text=a&text=b", 1),
        ("text=%00", True),
        ("text=%ff", "UTF-8"),
    ],
)
def test_what_the_spec_allows_is_said(text: str, expected: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        read(text)
    assert [violation.expected for violation in caught.value.violations] == [expected]


class TestStrict:
    def test_unknown_names_are_refused_and_not_repeated(self) -> None:
        parameters = small_parameters(query("search", TEXT), query("limit", {"type": "integer"}))
        with pytest.raises(BadRequest) as caught:
            parameters.read({}, "limit=x&serach=canary&canary=1", strict=True)
        assert [tuple(violation) for violation in caught.value.violations] == [
            ("/query/limit", "type", "integer"),
            ("/query/*", "unknown", ["limit", "search"]),
        ]

    def test_known_names_are_taken(self) -> None:
        assert PARAMETERS.read({}, "text=a&&flag=true", strict=True)[1] == {"text": "a", "flag": True}


def test_a_refusal_never_repeats_the_value() -> None:
    with pytest.raises(BadRequest) as caught:
        read("choice=canary")
    assert "canary" not in f"{caught.value!r} {caught.value} {caught.value.violations} {caught.value.__cause__}"


class TestRequiredAndDefaults:
    PARAMETERS = small_parameters(
        query("limit", {"type": "integer", "default": 10, "minimum": 1}),
        query("sorted", {"type": "boolean", "default": False}),
        query("key", TEXT, required=True),
    )

    def test_a_missing_one_is_named(self) -> None:
        for text in ("", "limit=5", "Key=x"):
            assert refusal(text, self.PARAMETERS) == [("/query/key", "required")]

    def test_an_empty_one_is_there(self) -> None:
        assert self.PARAMETERS.read({}, "key=")[1]["key"] == ""

    def test_defaults_stand_in_for_absent_ones_only(self) -> None:
        assert self.PARAMETERS.read({}, "key=x")[1] == {"key": "x", "limit": 10, "sorted": False}
        assert self.PARAMETERS.read({}, "key=x&limit=2")[1] == {"key": "x", "limit": 2, "sorted": False}
        assert refusal("key=x&limit=", self.PARAMETERS) == [("/query/limit", "type")]

    def test_one_request_does_not_change_the_defaults_of_the_next(self) -> None:
        self.PARAMETERS.read({}, "key=x&limit=2")[1].clear()
        assert self.PARAMETERS.read({}, "key=x")[1]["limit"] == 10


class TestPath:
    def test_wrong_parameters_of_path_and_query_are_named_together(self) -> None:
        parameters = small_parameters(
            {"name": "key", "in": "path", "required": True, "schema": {"type": "integer"}},
            query("limit", {"type": "integer"}),
            query("search", TEXT, required=True),
        )
        with pytest.raises(BadRequest) as caught:
            parameters.read({"key": "x"}, "limit=x")
        pointers = [violation.pointer for violation in caught.value.violations]
        assert pointers == ["/path/key", "/query/limit", "/query/search"]

    PARAMETERS = small_parameters(
        {"name": "clinicId", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-f0-9]{24}$"}},
        {"name": "MRNCode", "in": "path", "required": True, "schema": {"type": "integer"}},
    )
    ID = "5f0c7d1e9a3b4c6d8e2f1a0b"

    def test_values_have_python_names(self) -> None:
        assert self.PARAMETERS.read({"clinicId": self.ID, "MRNCode": "7"}, "")[0] == {
            "clinic_id": self.ID,
            "mrn_code": 7,
        }

    @pytest.mark.parametrize(
        ("value", "rule"),
        [
            (f"{ID}\n", "pattern"),
            (ID.upper(), "pattern"),
            (f" {ID}", "pattern"),
            (ID[:-1], "pattern"),
            (ID[:-1] + "٣", "pattern"),
            (ID[:-1] + "\ufffd", "pattern"),
            (f"{ID}\0", "characters"),
        ],
    )
    def test_refusals(self, value: str, rule: str) -> None:
        with pytest.raises(BadRequest) as caught:
            self.PARAMETERS.read({"clinicId": value, "MRNCode": "7"}, "")
        assert [violation[:2] for violation in caught.value.violations] == [("/path/clinicId", rule)]


class TestPlans:
    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            (query("x", {}), "no readable type"),
            (query("x", {"type": "object"}), "no readable type"),
            (query("x", LIST), "explode: false"),
        ],
    )
    def test_parameters_that_cannot_be_read_stop_the_start(self, declared: dict[str, Any], message: str) -> None:
        with pytest.raises(PlanError, match=message):
            small_parameters(declared)

    @pytest.mark.parametrize(
        ("name", "python"),
        [
            ("clinicId", "clinic_id"),
            ("GetMRNSettings", "get_mrn_settings"),
            ("SyncEHRDataForPatient", "sync_ehr_data_for_patient"),
            ("ViewPDFReport", "view_pdf_report"),
            ("restricted_token", "restricted_token"),
            ("XealthGetProgramUrl", "xealth_get_program_url"),
        ],
    )
    def test_python_names(self, name: str, python: str) -> None:
        assert snake_case(name) == python


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(-5, 1000), st.booleans())
def test_what_a_client_encodes_comes_out_again(text: str, count: int, flag: bool) -> None:
    sent = {"text": text, "count": count, "flag": str(flag).lower()}
    for encoded in (urlencode(sent), urlencode(sent, quote_via=quote)):
        assert read(encoded) == {"text": text, "count": count, "flag": flag}


@settings(max_examples=200, deadline=None)
@given(st.text(string.printable + "\xff%&=;+", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for name in ("text", "count", "number", "flag", "list", "time", "date"):
        with suppress(BadRequest):
            assert isinstance(read(f"{name}={text}"), dict)
