"""The one form in which texts are compared."""

from __future__ import annotations

from typing import Literal
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clinic_service.models import Site, Tag
from clinic_service.models.sort_keys import folded, mrn_key, name_key, search_text, sought

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
