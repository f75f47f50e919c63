"""The access rules in words, for the page that shows the API."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.auth.words import with_access_in_words


def _described(operation: dict[str, Any]) -> str:
    document = with_access_in_words({"paths": {"/one": {"get": operation}}})
    text: str = document["paths"]["/one"]["get"]["description"]
    return text


def test_the_callers_follow_the_description() -> None:
    text = _described({"description": "Reads one.\n", "x-access": ["service", "self:userId"]})
    first, heading, rules = text.split("\n\n")
    assert first == "Reads one."
    assert heading == "**Who may call it**, any of:"
    assert rules.count("\n- ") == 1
    assert "userId" in rules


@pytest.mark.parametrize(
    "unfinished",
    [
        {},
        {"x-access": None},
        {"x-access": "service"},
        {"x-access": ["nobody", "nobody:userId", 1]},
        {"description": None},
    ],
)
def test_an_operation_that_is_being_written_has_what_is_there(unfinished: dict[str, Any]) -> None:
    assert _described(unfinished) == ""
