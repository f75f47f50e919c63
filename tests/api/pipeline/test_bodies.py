"""Reading bodies: what the decoder takes, what it refuses and under which name."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_service.api.bodies import ABSENT, MAX_DEPTH, decode_json, read_body, require_json
from clinic_service.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType, Violation

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def _damage(raw: bytes) -> st.SearchStrategy[bytes]:
    return st.tuples(st.integers(0, len(raw)), st.binary(max_size=2)).map(
        lambda at: raw[: at[0]] + at[1] + raw[at[0] + 1 :]
    )


DAMAGED = VALUES.map(lambda value: json.dumps(value).encode()).flatmap(_damage)


def _violations(raw: bytes) -> Sequence[Violation]:
    """What is wrong with `raw`; nothing when it is read."""
    try:
        decode_json(raw)
    except BadRequest as refusal:
        return refusal.violations
    return ()


class TestDecodeJson:
    @settings(max_examples=150, deadline=None)
    @given(VALUES, st.booleans())
    def test_takes_all_other_json(self, value: Any, ascii_only: bool) -> None:
        read = decode_json(json.dumps(value, ensure_ascii=ascii_only).encode())
        assert read == value
        assert repr(read) == repr(value)

    @pytest.mark.parametrize(
        ("raw", "value"),
        [
            (b"null", None),
            (b" \t\r\n7\n", 7),
            (b"-0", 0),
            (b"-9223372036854775808", -(1 << 63)),
            (b"9223372036854775807", (1 << 63) - 1),
            (b"1e308", 1e308),
            (b"1E+2", 100.0),
            (b"1e-999", 0.0),
            (b"9223372036854775808.0", 2.0**63),
            (b'"\\ud83d\\ude00"', "\U0001f600"),
            (b'"\\u0001\\n\\/"', "\x01\n/"),
            (b'"\xf4\x8f\xbf\xbf"', "\U0010ffff"),
            (b'"\xef\xbb\xbf"', "\ufeff"),
            (b'"\\\\u0000"', "\\u0000"),
            (b'{"a": {"a": 1}, "A": 2}', {"a": {"a": 1}, "A": 2}),
            (b'"' + b"[" * 1000 + b'"', "[" * 1000),
        ],
    )
    def test_takes_the_unusual(self, raw: bytes, value: Any) -> None:
        assert decode_json(raw) == value

    @pytest.mark.parametrize("raw", [b"", b" ", b"\r\n\t "])
    def test_blank_is_absent(self, raw: bytes) -> None:
        assert decode_json(raw) is ABSENT
        assert not ABSENT

    @pytest.mark.parametrize(
        ("rule", "raw"),
        [
            ("utf-8", b'"\xff"'),
            ("utf-8", b'"\xc3"'),
            ("utf-8", b'"\xc0\x80"'),
            ("utf-8", b'"\xed\xa0\x80"'),
            ("utf-8", b'"\xf4\x90\x80\x80"'),
            ("utf-8", '"é"'.encode("latin-1")),
            ("utf-8", '{"a": 1}'.encode("utf-16")),
            ("json", '{"a": 1}'.encode("utf-16-le")),
            ("json", b"\xef\xbb\xbf{}"),
            ("json", b"\x00"),
            ("json", b'"\x00"'),
            ("json", b'"a\nb"'),
            ("json", b"{"),
            ("json", b'{"a"}'),
            ("json", b'{"a": 1,}'),
            ("json", b"[1,]"),
            ("json", b"{} {}"),
            ("json", b"{'a': 1}"),
            ("json", b"{a: 1}"),
            ("json", b"// nothing\n{}"),
            ("json", b"True"),
            ("json", b"undefined"),
            ("json", b"01"),
            ("json", b"+1"),
            ("json", b".5"),
            ("json", b"1."),
            ("json", b"0x10"),
            ("json", b"1_000"),
            ("json", b'"\\x41"'),
            ("json", b'"\\u00"'),
            ("json", b'"\\ud83d'),
            ("json", b"[" * 100_000),
            ("json", b"[" * 100_000 + b"]" * 100_000),
            ("json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
            ("number", b"NaN"),
            ("number", b"[Infinity]"),
            ("number", b"-Infinity"),
            ("number", b"1e999"),
            ("number", b"-1e999"),
            ("number", b"1" * 400 + b".0"),
            ("int64", b"9223372036854775808"),
            ("int64", b"-9223372036854775809"),
            ("int64", b"1" * 21),
            ("int64", b"-" + b"1" * 5000),
            ("unique-keys", b'{"a": 1, "a": 1}'),
            ("unique-keys", b'{"a": 1, "\\u0061": 2}'),
            ("unique-keys", b'[{"b": {"a": 1, "c": 2, "a": 3}}]'),
            ("characters", b'"\\u0000"'),
            ("characters", b'["a", {"b": "x\\u0000y"}]'),
            ("characters", b'{"\\u0000": 1}'),
            ("characters", b'"\\ud83d"'),
            ("characters", b'"\\ude00\\ud83d"'),
            ("characters", b'{"a": ["\\uDFFF"]}'),
            ("characters", b'{"\\ud800": 1}'),
        ],
    )
    def test_refuses(self, rule: str, raw: bytes) -> None:
        with pytest.raises(BadRequest) as refusal:
            decode_json(raw)
        assert [violation[:2] for violation in refusal.value.violations] == [("/body", rule)]
        assert refusal.value.__cause__ is None

    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
    def test_depth_is_limited(self, opening: str, closing: str) -> None:
        times = MAX_DEPTH // (opening.count("[") + opening.count("{"))
        assert decode_json(f"{opening * times}1{closing * times}".encode()) is not None
        with pytest.raises(BadRequest) as refusal:
            decode_json(f"[{opening * times}1{closing * times}]".encode())
        assert [violation[:2] for violation in refusal.value.violations] == [("/body", "depth")]

    def test_breadth_is_not_depth(self) -> None:
        wide = [[{}] * 100, {"a": [1] * 1000}]
        assert decode_json(json.dumps(wide).encode()) == wide

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=40) | DAMAGED)
    def test_never_fails_otherwise(self, raw: bytes) -> None:
        """Whatever arrives is read, or refused in one place; nothing else is raised."""
        assert len(_violations(raw)) <= 1

    @settings(max_examples=50, deadline=None)
    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_keeps_every_number_to_the_last_bit(self, number: float) -> None:
        assert struct.pack("d", decode_json(repr(number).encode())) == struct.pack("d", number)


class TestRequireJson:
    @pytest.mark.parametrize(
        "content_type",
        [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            'APPLICATION/JSON ; Charset="Utf-8"',
            "application/json;charset=utf8",
            "application/json; profile=x",
            "application/json;",
            " application/json ",
        ],
    )
    def test_takes_json_in_utf_8(self, content_type: str) -> None:
        require_json(content_type)

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "text/json",
            "application/jsonx",
            "application/json5",
            "application/problem+json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application",
            "json",
            "*/*",
            "application/json, text/plain",
            "application/json; charset=latin-1",
            "application/json; charset=utf-16",
            "application/json; charset=utf-7",
            "application/json; charset=",
            "application/json; charset=nonsense",
            "application/json; charset=utf-8; charset=latin-1",
        ],
    )
    def test_refuses_anything_else(self, content_type: str) -> None:
        with pytest.raises(UnsupportedMediaType):
            require_json(content_type)


class TestReadBody:
    def read(self, body: bytes, limit: int = 10, **environ: Any) -> bytes:
        return read_body({"wsgi.input": io.BytesIO(body), **environ}, limit)

    def test_reads_what_is_declared(self) -> None:
        assert self.read(b"0123456789", CONTENT_LENGTH="10") == b"0123456789"
        assert self.read(b"0123456789", CONTENT_LENGTH="4") == b"0123"
        assert self.read(b"", CONTENT_LENGTH="0") == b""

    def test_reads_nothing_where_nothing_is_announced(self) -> None:
        assert self.read(b"next request") == b""
        assert self.read(b"next request", CONTENT_LENGTH="") == b""

    def test_reads_chunked_bodies_to_their_end(self) -> None:
        assert self.read(b"0123", HTTP_TRANSFER_ENCODING="chunked") == b"0123"
        assert self.read(b"0123", **{"wsgi.input_terminated": True}) == b"0123"
        assert self.read(b"", **{"wsgi.input_terminated": True}) == b""

    def test_refuses_a_chunked_body_of_nothing(self) -> None:
        """A server that loses its client half-way may show the stream as ended; absence could mean *delete*."""
        with pytest.raises(BadRequest):
            self.read(b"", HTTP_TRANSFER_ENCODING="chunked")

    def test_reads_streams_that_give_little_at_a_time(self) -> None:
        class Trickle(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002
                return super().read(1)

        environ = {"wsgi.input": Trickle(b"0123456789"), "CONTENT_LENGTH": "10"}
        assert read_body(environ, 10) == b"0123456789"

    @pytest.mark.parametrize(
        "environ", [{"CONTENT_LENGTH": "11"}, {"wsgi.input_terminated": True}, {"HTTP_TRANSFER_ENCODING": "chunked"}]
    )
    def test_refuses_more_than_the_limit(self, environ: dict[str, Any]) -> None:
        with pytest.raises(PayloadTooLarge):
            self.read(b"x" * 11, **environ)

    def test_refuses_a_body_that_ends_early(self) -> None:
        with pytest.raises(BadRequest):
            self.read(b"012", CONTENT_LENGTH="4")
