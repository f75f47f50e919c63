"""The patterns of header parameters in the spec are what the server accepts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jsonschema_rs
import pytest

from clinic_service.api.entity_tags import read_conditions
from clinic_service.api.idempotency import MAX_LENGTH, read_key
from clinic_service.errors import BadRequest
from tests.support.errors import spec_apis

Reader = Callable[[dict[str, Any]], object]

KEYS = [
    *("a", "8e03978e-40d5-43e8-bc93-6894a57f9324", "~", "+", "-", "a\\b", '"a"', '"a b,c"', '"\\""', '"\\\\"', '" "'),
    *("a" * MAX_LENGTH, '"' + "a" * MAX_LENGTH + '"', '"' + '\\"' * MAX_LENGTH + '"'),
    *("", '"', '""', '"a', 'a"', "a,b", "a b", '"a"b"', '"\\a"', '"\\"', "é", "\x7f", "\x1f", "a\n", '"a"\n'),
    *("a" * (MAX_LENGTH + 1), '"' + "a" * (MAX_LENGTH + 1) + '"'),
]
TAGS = [
    *("*", '""', '"a"', 'W/"a"', '"a", W/"b"', ',, "a"', '"a",', '"a" , ,\t"b" ,', '"~!\xff\x80"', '"a","b","c"'),
    *("", ",", "a", '"a', 'a"', '"a" "b"', 'w/"a"', '"a b"', '*, "a"', '"a", *', "**", '"\x7f"', '"\n"', '"a"\n'),
]


def _schema(name: str) -> dict[str, Any]:
    [schema] = [
        parameter["schema"]
        for parameter in spec_apis()[0].document["components"]["parameters"].values()
        if parameter["name"] == name
    ]
    return dict(schema)


def _is_read(reader: Reader, name: str, value: str) -> bool:
    try:
        reader({f"HTTP_{name.upper().replace('-', '_')}": value})
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "reader", "values"),
    [
        ("Idempotency-Key", read_key, KEYS),
        ("If-Match", partial(read_conditions, are_declared=True), TAGS),
        ("If-None-Match", partial(read_conditions, are_declared=True), TAGS),
    ],
)
def test_the_server_accepts_what_fits_the_pattern(name: str, reader: Reader, values: list[str]) -> None:
    fits = jsonschema_rs.Draft4Validator(_schema(name)).is_valid
    accepted = [value for value in values if _is_read(reader, name, value)]
    assert 0 < len(accepted) < len(values)
    assert [value for value in values if fits(value)] == accepted
