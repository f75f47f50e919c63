"""ListPatients: what `search` finds."""

from __future__ import annotations

from typing import Literal
from unicodedata import normalize

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.errors import assert_violations
from tests.support.patient_lists import Ward


@pytest.fixture
def ward(api: Client, database: Database) -> Ward:
    return Ward(api, database)


@pytest.mark.parametrize("search", ["Ann", "ann@mail", "mRn-7", "1987-04", "Q.E.D."])
def test_rule_a_search_looks_through_four_fields(ward: Ward, search: str) -> None:
    """Name, e-mail address, record number and date of birth; any of them will do."""
    ward.add("one", full_name="Joanna Q.E.D.", email="joann@mail.example", mrn="MRN-77", birth_date="1987-04-12")
    ward.add("two", full_name="Xaver", email="x@post.example", mrn="4", birth_date="1990-01-01")
    ward.add("three", full_name=None, birth_date=None)
    assert ward.listed(search=search) == ["one"]


def test_the_search_reads_no_other_fields(ward: Ward) -> None:
    ward.add("one", full_name="Carol", tags=[ward.tag("Pump")], sites=[ward.site("North")])
    for other in ("Pump", "North", "0000000001", "view", str(ward.clinic.id)):
        assert ward.listed(search=other) == []


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("жУ", ["Жук"]),
        ("ЖУК", ["Жук"]),
        ("ÓSC", ["óscar"]),
        ("óSC", ["óscar"]),
        ("ας", ["ΣΑΣ"]),
        ("oscar", ["OSCAR"]),
        ("ĳS", ["Ĳsbrand"]),
    ],
)
def test_rule_letter_case_does_not_count(ward: Ward, search: str, found: list[str]) -> None:
    ward.add("Жук", "óscar", "OSCAR", "ΣΑΣ", "Ĳsbrand")
    assert ward.listed(search=search) == found


def test_rule_accents_count(ward: Ward) -> None:
    ward.add("Oscar", "Óscar")
    assert ward.listed(search="ó") == ward.listed(search="Ó") == ["Óscar"]
    assert ward.listed(search="o") == ward.listed(search="O") == ["Oscar"]


def test_rule_letter_case_is_folded_in_full(ward: Ward) -> None:
    """What becomes two letters in the other case is two letters; other letters that look like two are one."""
    ward.add("Strauß", "Ærø", "Aero", "ﬁn")
    for search in ("SS", "ß", "STRAUSS", "strauß", "\u1e9e"):
        assert ward.listed(search=search) == ["Strauß"]
    assert ward.listed(search="ae") == ["Aero"]
    assert ward.listed(search="æRØ") == ["Ærø"]
    assert ward.listed(search="FIN") == ["ﬁn"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("search", "found"), [("Élodie", "élodie"), ("ÅNGSTRÖM", "Ångström"), ("김", "김민준"), ("ΐ", "Ϊ\u0301")]
)
def test_rule_composed_and_decomposed_letters_find_each_other(
    ward: Ward, form: Literal["NFC", "NFD"], search: str, found: str
) -> None:
    ward.add("composed", full_name=normalize("NFC", found))
    ward.add("decomposed", full_name=normalize("NFD", found))
    assert sorted(ward.listed(search=normalize(form, search))) == ["composed", "decomposed"]


@pytest.mark.parametrize("character", [*".*+?^$|()[]{}\\%_-'\"#&;/", "\u2019", "\U0001f600", "\u0489"])
def test_rule_every_character_stands_for_itself(ward: Ward, character: str) -> None:
    ward.add("a", full_name=f"Ann{character}Lee", birth_date=None)
    ward.add("b", full_name="Ann Lee", birth_date=None)
    assert ward.listed(search=f"n{character}l") == ["a"]
    assert ward.listed(search=character) == ["a"]


def test_rule_the_parameter_is_one_text_with_its_spaces(ward: Ward) -> None:
    ward.add("one", full_name="Ann Lee")
    ward.add("two", full_name="Ann")
    ward.add("three", full_name=" Bo")
    ward.add("four", full_name="Lee  Ann")
    assert sorted(ward.listed(search=" ")) == ["four", "one", "three"]
    assert ward.listed(search="  ") == ["four"]
    assert ward.listed(search=" lee") == ["one"]
    assert ward.listed(search="lee ") == ["four"]
    assert ward.listed(search="lee ann") == []


@pytest.mark.parametrize("between", ["", " ", "\n", "\t", "\x1e", "\x1f", ",", "\u2028"])
def test_rule_a_match_does_not_straddle_two_fields(ward: Ward, between: str) -> None:
    ward.add("one", full_name="Ann", email="bob@mail.example", mrn="77", birth_date="1987-04-12")
    for search in ("ann{}bob", "example{}77", "77{}1987", "ann{}77", "n{}b", "7{}1"):
        assert ward.listed(search=search.format(between)) == []
    if between:
        assert ward.listed(search=between) == []


def test_characters_that_no_keyboard_has_are_found_as_well(ward: Ward) -> None:
    ward.add("a", full_name="Ann\x1fLee")
    ward.add("b", full_name="Ann Lee", mrn="7")
    assert ward.listed(search="n\x1fl") == ward.listed(search="\x1f") == ["a"]


def test_a_search_is_as_long_as_it_likes(ward: Ward) -> None:
    ward.add("a", full_name="x" * 255)
    assert ward.listed(search="X" * 255) == ["a"]
    assert ward.listed(search="x" * 5000) == []
    assert_violations(ward.ask("search=%00"), ("/query/search", "characters"))


def test_what_is_searched_follows_a_change_of_the_record(ward: Ward) -> None:
    ward.add("a", full_name="Ann", email="ann@mail.example")
    body = {"fullName": "Zoë", "birthDate": "2001-02-03", "mrn": "new-7", "email": "zoe@mail.example"}
    [user_id] = ward.names
    assert ward.api.put(f"{ward.path}/{user_id}", as_=BOB, json=body).status == 200
    assert ward.listed(search="zoë") == ward.listed(search="2001-02") == ward.listed(search="W-7") == ["a"]
    assert ward.listed(search="Ann Lee") == []


def test_a_search_narrows_and_does_not_sort(ward: Ward) -> None:
    ward.add("Lee Bo", "Ann Lee", "Lee")
    assert ward.listed(search="lee") == ["Ann Lee", "Lee", "Lee Bo"]
    assert ward.listed(search="lee", sort="-fullName", sortType="cgm") == ["Lee Bo", "Lee", "Ann Lee"]
