"""The one form in which texts are compared."""

from __future__ import annotations

from typing import Literal
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clinic_service.models import Site, Tag
from clinic_service.models.sort_keys import folded, match_key, mrn_key, name_key, search_text, sought

FORMS: list[Literal["NFC", "NFD"]] = ["NFC", "NFD"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(deadline=None)
@given(TEXTS)
@example("\u1fb4")
@example("\u0390")
@example("\u1fb3\u0301")
@example("\u01f0\u0323")
def test_composition_makes_no_difference(text: str) -> None:
    forms = [normalize(form, text) for form in FORMS]
    assert len({folded(form) for form in forms}) == 1
    assert len({name_key(form) for form in forms}) == 1


@settings(deadline=None)
@given(TEXTS)
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@settings(deadline=None)
@given(TEXTS)
def test_case_makes_no_difference(text: str) -> None:
    assert folded(text.casefold()) == folded(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ΟΔΟΣ", "οδος"), ("οδοσ", "οδος"), ("Straße", "STRASSE"), ("ΐ", "Ϊ\u0301"), ("ǰ", "J\u030c"), ("É", "e\u0301")],
)
def test_every_comparison_goes_by_it(one: str, other: str) -> None:
    assert Tag.key_of(one) == Tag.key_of(other)
    assert Site.key_of(one) == Site.key_of(other)
    assert mrn_key(one) == mrn_key(other)
    assert sought(one) in search_text(None, f"x{other}x")


@pytest.mark.parametrize(("one", "other"), [("é", "e"), ("Ω", "O"), ("\u0131", "i"), ("ø", "o"), ("æ", "ae")])
def test_other_letters_are_others(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@settings(deadline=None)
@given(TEXTS)
@example("\u1fb3\u0301")
@example("I\u0307stanbul")
def test_composition_makes_no_difference_to_a_match(text: str) -> None:
    assert {match_key(normalize(form, text)) for form in FORMS} == {match_key(text)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mr-7", "MR-7"),
        ("José", "Jose"),
        ("JOSE\u0301", "josé"),
        ("Straße", "STRASSE"),
        ("\uff2dR-7", "mr-7"),
        ("Ệ", "e"),
    ],
)
def test_case_and_accents_make_no_difference_to_a_match(one: str, other: str) -> None:
    assert match_key(one) == match_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("MR-7", "MR7"), ("MR-7", " MR-7"), ("A  B", "A B"), ("ø", "o"), ("7", "8")]
)
def test_space_and_punctuation_make_a_difference_to_a_match(one: str, other: str) -> None:
    assert match_key(one) != match_key(other)


def test_an_absent_text_has_no_key() -> None:
    assert match_key(None) is None
    assert match_key("") is None


def test_the_longest_text_has_a_short_match_key() -> None:
    """An index of PostgreSQL takes no more than 2,704 bytes, which this text has once it is decomposed."""
    longest = "\ufdfa" * 255
    assert len(normalize("NFKD", longest).encode()) > 2704
    assert match_key(longest) != match_key(longest[1:])
    assert len(match_key(longest) or b"") == 16
