"""Names of tags that come from orders are held against the rule of the spec, which nobody else checks there."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from clinic_service.api.validation import Validator, Validators
from clinic_service.models import Tag
from tests.support.errors import spec_apis


@pytest.fixture(scope="module")
def shown() -> Validator:
    return Validators(spec_apis()[0].document).response({"$ref": "#/components/schemas/patientTag.v1"})


def _tag(name: str) -> dict[str, Any]:
    return {"id": "65f1c0de0a1b2c3d4e5f6a7b", "name": name}


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a",
        " a",
        "a ",
        "a b",
        "\ta",
        "a\t\n\f\r",
        "a\v",
        "_+><-",
        "<b>",
        "a.b",
        "Å 1",
        "名前",
        "a" * 20,
        "a" * 21,
    ],
)
def test_the_rule_is_that_of_the_spec(shown: Validator, name: str) -> None:
    assert Tag.is_name(name) is shown.is_valid(_tag(name))


def test_no_name_has_a_character_that_the_spec_refuses(shown: Validator) -> None:
    """The two may know different editions of Unicode, and what the spec refuses could not be shown."""
    characters = (chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000)
    assert [name for name in characters if Tag.is_name(name) and not shown.is_valid(_tag(name))] == []
