"""The corpus: requests that no well-meaning client sends. Each is answered 4xx, with the common body, at once."""

from __future__ import annotations

from typing import NamedTuple

JSON = "application/json"
MIB = 1 << 20


class Body(NamedTuple):
    """A body, what is said about it, and the only right answer to it."""

    raw: bytes
    content_type: str | None = JSON
    status: int = 400
    length: str | None = None
    chunked: bool = False


BODIES: dict[str, Body] = {
    # --- no JSON
    "nothing but a brace": Body(b"{"),
    "closed too often": Body(b"{}}"),
    "two values": Body(b"{} {}"),
    "trailing comma": Body(b'{"name": "x",}'),
    "single quotes": Body(b"{'name': 'x'}"),
    "a comment": Body(b'{} // "name"'),
    "Python's words": Body(b'{"name": None}'),
    "a form": Body(b"name=x&tier=y"),
    "XML": Body(b"<name>x</name>"),
    "zeros in front": Body(b'{"name": 007}'),
    "line break in text": Body(b'{"name": "a\nb"}'),
    "unknown escape": Body(b'{"name": "\\x41"}'),
    "half an escape": Body(b'{"name": "\\u12"}'),
    "text that never ends": Body(b'{"name": "' + b"a" * 100_000),
    # --- no UTF-8
    "invalid UTF-8": Body(b'{"name": "\xff\xfe"}'),
    "UTF-8 cut in the middle": Body(b'{"name": "\xe2\x82"}'),
    "overlong UTF-8": Body(b'{"name": "\xc0\xaf"}'),
    "UTF-8 beyond Unicode": Body(b'{"name": "\xf7\xbf\xbf\xbf"}'),
    "surrogate in UTF-8": Body(b'{"name": "\xed\xa0\x80"}'),
    "latin-1": Body('{"name": "Jörg"}'.encode("latin-1")),
    "UTF-16 with a mark": Body('{"name": "x"}'.encode("utf-16")),
    "UTF-16 without a mark": Body('{"name": "x"}'.encode("utf-16-be")),
    "UTF-32": Body('{"name": "x"}'.encode("utf-32")),
    "byte order mark": Body(b'\xef\xbb\xbf{"name": "x"}'),
    "compressed": Body(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00"),
    # --- characters no store can hold
    "raw NUL": Body(b'{"name": "a\x00b"}'),
    "NUL behind the body": Body(b'{"name": "x"}\x00'),
    "escaped NUL": Body(b'{"name": "a\\u0000b"}'),
    "escaped NUL in a key": Body(b'{"na\\u0000me": "x"}'),
    "escaped NUL in a member nobody knows": Body(b'{"unknown": ["\\u0000"]}'),
    "lone high surrogate": Body(b'{"name": "\\ud800"}'),
    "lone low surrogate": Body(b'{"name": "\\udc00"}'),
    "surrogates in the wrong order": Body(b'{"name": "\\udc00\\ud800"}'),
    "lone surrogate in a key": Body(b'{"\\ud800": "x"}'),
    # --- numbers
    "NaN": Body(b'{"unknown": NaN}'),
    "Infinity": Body(b'{"unknown": Infinity}'),
    "minus Infinity": Body(b'{"unknown": -Infinity}'),
    "1e999": Body(b'{"unknown": 1e999}'),
    "2^63": Body(b'{"unknown": 9223372036854775808}'),
    "-2^63 - 1": Body(b'{"unknown": -9223372036854775809}'),
    "5,000 digits": Body(b'{"unknown": ' + b"1" * 5000 + b"}"),
    "a million digits": Body(b'{"unknown": ' + b"1" * 1_000_000 + b"}"),
    "5,000 digits before a point": Body(b'{"unknown": ' + b"1" * 5000 + b".0}"),
    "an exponent of 5,000 digits": Body(b'{"unknown": 1e' + b"1" * 5000 + b"}"),
    # --- shape
    "keys that stand twice": Body(b'{"name": "x", "name": "x"}'),
    "keys that stand twice in disguise": Body(b'{"name": "x", "n\\u0061me": "y"}'),
    "keys that stand twice deep inside": Body(b'{"unknown": [{"a": {"b": 1, "b": 2}}]}'),
    "depth 65": Body(b'{"unknown": ' + b"[" * 64 + b"]" * 64 + b"}"),
    "depth 100,000, lists": Body(b"[" * 100_000 + b"]" * 100_000),
    "depth 100,000, objects": Body(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "depth 100,000, never closed": Body(b"[" * 100_000),
    "a list": Body(b"[]"),
    "a list of 5,000 lists": Body(b"[" + b"[]," * 5_000 + b"[]]"),
    "text": Body(b'"name"'),
    "a number": Body(b"17"),
    "true": Body(b"true"),
    # --- what is said about it
    "no content type": Body(b"{}", None, 415),
    "empty content type": Body(b"{}", "", 415),
    "plain text": Body(b"{}", "text/plain", 415),
    "a form by name": Body(b"{}", "application/x-www-form-urlencoded", 415),
    "a multipart form": Body(b"{}", "multipart/form-data", 415),
    "another JSON": Body(b"{}", "application/merge-patch+json", 415),
    "odd case of another type": Body(b"{}", "Text/JSON", 415),
    "no media type": Body(b"{}", ";;;=", 415),
    "charset latin-1": Body(b"{}", "application/json; charset=latin-1", 415),
    "charset UTF-16, in odd case": Body(b"{}", "Application/Json; CharSet=UTF-16", 415),
    "charset that does not exist": Body(b"{}", "application/json; charset=klingon", 415),
    "odd case and no JSON": Body(b"{", "aPPlication/jSON; CHARSET=Utf-8", 400),
    # --- framing
    "larger than the limit": Body(b" " * (MIB + 1), status=413),
    "larger than the limit, chunked": Body(b" " * (MIB + 1), status=413, chunked=True),
    "no JSON, chunked": Body(b"{", chunked=True),
    "nothing, chunked": Body(b"", chunked=True),
    "shorter than declared": Body(b"{}", length="40"),
    "length of 5,000 digits": Body(b"{}", status=413, length="9" * 5000),
    "length that is no number": Body(b"{}", length="two"),
    "negative length": Body(b"{}", length="-2"),
}

# What stands in a path in place of an id, percent-encoded as it is sent.
IDS = {
    "not an id": "nobody",
    "one character short": "5f0c7d1e9a3b4c6d8e2f1a0",
    "one character long": "5f0c7d1e9a3b4c6d8e2f1a0bb",
    "capitals": "5F0C7D1E9A3B4C6D8E2F1A0B",
    "blank": "%20",
    "blank behind": "5f0c7d1e9a3b4c6d8e2f1a0b%20",
    "newline behind": "5f0c7d1e9a3b4c6d8e2f1a0b%0A",
    "carriage return and newline behind": "5f0c7d1e9a3b4c6d8e2f1a0b%0D%0A",
    "NUL": "%00",
    "NUL behind": "5f0c7d1e9a3b4c6d8e2f1a0b%00",
    "invalid UTF-8": "%ff",
    "surrogate": "%ED%A0%80",
    "digits of another script": "%D9%A1" * 10,
    "encoded slash": "a%2Fb%2Fc%2Fd",
    "encoded backslash": "a%5Cb",
    "encoded question mark": "a%3Fb",
    "encoded percent sign": "%2541",
    "dots": "..",
    "encoded dots": "%2e%2e",
    "bad escape": "%zz",
    "lone percent sign": "100%",
    "quotes": "'%22%60",
    "statement": "x'%20OR%20'1'='1",
    "brackets": "%7BclinicId%7D",
    "number": "1e999",
    "very long": "a" * 8000,
    "very long and not ASCII": "%C3%A9" * 1000,
}

# Queries for operations that take `limit` and `offset`.
QUERIES = {
    "no number": "limit=ten",
    "empty": "limit=",
    "no value": "limit",
    "repeated": "limit=1&limit=1",
    "repeated, once under another spelling": "limit=1&%6Cimit=1",
    "too small": "limit=0",
    "too large": "limit=1001",
    "negative": "offset=-1",
    "2^63": "offset=9223372036854775808",
    "5,000 digits": "offset=" + "1" * 5000,
    "fraction": "limit=1.5",
    "exponent": "limit=1e2",
    "1e999": "limit=1e999",
    "NaN": "limit=NaN",
    "Python's digits": "limit=1_0",
    "digits of another script": "limit=%D9%A1",
    "blank behind": "limit=10%20",
    "newline behind": "limit=10%0A",
    "NUL": "limit=%00",
    "invalid UTF-8": "limit=%ff",
    "invalid UTF-8 in a name": "%ff=1",
    "surrogate": "limit=%ED%A0%80",
    "raw bytes": "limit=\xff",
    "bad escape": "limit=%zz",
    "lone percent sign": "limit=%",
    "list": "limit=1,2",
    "bracket": "limit=%5B1%5D",
    "null": "limit=null",
    "a thousand parameters and more": "&".join(f"a{number}=1" for number in range(1001)),
}
