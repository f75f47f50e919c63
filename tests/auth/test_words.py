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
    [{}, {"x-access": None}, {"x-access": "service"}, {"description": None}, {"description": "Reads one."}],
)
def test_an_operation_without_a_list_of_rules_stays_as_it_is(unfinished: dict[str, Any]) -> None:
    document = {"paths": {"/one": {"get": unfinished}}}
    assert with_access_in_words(document) == document


@pytest.mark.parametrize("unfinished", [{}, {"description": None}, {"description": ""}])
def test_without_a_description_only_the_callers_are_shown(unfinished: dict[str, Any]) -> None:
    assert _described({**unfinished, "x-access": ["service"]}).startswith("**Who may call it**")


def test_what_is_no_rule_stands_for_itself() -> None:
    text = _described({"x-access": ["nobody", "nobody:userId", 1]})
    assert text.split("\n\n")[-1] == "- `nobody`\n- `nobody:userId`\n- `1`"
