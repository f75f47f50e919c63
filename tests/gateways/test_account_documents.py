"""What a directory says of an account or a person becomes what the spec can show."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.api.validation import is_email
from clinic_service.gateways.accounts import Account, Profile
from clinic_service.gateways.accounts.documents import account_from_document, patient_document, profile_from_document

USER_ID = "ca401c0003"
# The longest that fits, and one more.
LONGEST_ADDRESS = "a" * 241 + "@mail.example"
TOO_LONG_ADDRESS = "a" + LONGEST_ADDRESS


def account(**members: Any) -> Account:
    return account_from_document({"userid": USER_ID, **members})


def profile(**patient: Any) -> Profile:
    return profile_from_document({"patient": patient})


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Carol@Mail.example", "carol@mail.example"),
        (" carol@mail.example ", "carol@mail.example"),
        (LONGEST_ADDRESS, LONGEST_ADDRESS),
        (TOO_LONG_ADDRESS, ""),
        # Its lower case is longer.
        ("\u0130" * 121 + "@mail.example", ""),
        ("admin", ""),
        ("a@b@c", ""),
        ("a b@mail.example", ""),
        ("carol\x00@mail.example", ""),
        ("carol\ud800@mail.example", ""),
        ("unclaimed-custodial-automation+0123@tidepool.org", ""),
        ("", ""),
        (7, ""),
        (["carol@mail.example"], ""),
        (None, ""),
    ],
)
def test_address(told: Any, shown: str) -> None:
    assert account(username=told) == Account(USER_ID, shown)
    assert account(emails=["first@mail.example", told]).emails == ("first@mail.example", *([shown] if shown else []))
    assert is_email(shown) or not shown


def test_addresses_are_as_many_as_anybody_needs_each_once() -> None:
    assert account(emails=["a@b.example", "A@b.example"]).emails == ("a@b.example",)
    assert len(account(emails=[f"a{number}@b.example" for number in range(1000)]).emails) == 100


@pytest.mark.parametrize("emails", ["carol@mail.example", {"a@b.example": 1}, 7, None, [None, 7, []]])
def test_addresses_in_another_form_are_none(emails: Any) -> None:
    assert account(emails=emails) == Account(USER_ID)


@pytest.mark.parametrize("roles", [{"clinic": True}, "clinic", [None, ["clinic"]], None])
def test_roles_in_another_form_are_none(roles: Any) -> None:
    assert account(roles=roles) == Account(USER_ID)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (" Carol Cooper ", "Carol Cooper"),
        ("N" * 255, "N" * 255),
        ("N" * 300, "N" * 255),
        ("\U0001f600" * 300, "\U0001f600" * 255),
        # No space at the end, wherever it is cut.
        ("N" * 254 + "  M", "N" * 254),
        ("Carol\x00 Cooper\udc00", "Carol Cooper"),
        ("\x00", None),
        (" ", None),
        (7, None),
        ({"first": "Carol"}, None),
    ],
)
def test_name(told: Any, shown: str | None) -> None:
    assert profile_from_document({"fullName": told}) == Profile(full_name=shown)
    assert profile(fullName=told) == Profile(patient_full_name=shown)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (" A-1 ", "A-1"),
        ("1" * 255, "1" * 255),
        # A part of a number is the number of somebody else.
        ("1" * 256, None),
        ("A\x001", None),
        ("A\ud8001", None),
        (" ", None),
        (7, None),
    ],
)
def test_number(told: Any, shown: str | None) -> None:
    assert profile(mrn=told) == Profile(mrn=shown)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (["dexcom", "omnipod", "dexcom"], ("dexcom", "omnipod", "dexcom")),
        ([], ()),
        (["x" * 256, None, 7, "", "a\x00", "dexcom"], ("dexcom",)),
        (["dexcom"] * 101, ("dexcom",) * 100),
        ("dexcom", None),
        (None, None),
    ],
)
def test_devices(told: Any, shown: tuple[str, ...] | None) -> None:
    assert profile(targetDevices=told) == Profile(target_devices=shown)


def test_day_that_is_not_known() -> None:
    assert profile(birthday="0001-01-01", diagnosisDate="0001-01-01") == Profile()


@pytest.mark.parametrize("told", ["12.04.1987", "1987-02-30", "0000-01-01", "1987-04-12T00:00:00Z", "", 1987, None])
def test_day_that_is_none_of_the_calendar(told: Any) -> None:
    assert profile(birthday=told, diagnosisDate=told) == Profile()


@pytest.mark.parametrize(("told", "shown"), [(True, True), (False, False), ("yes", None), (1, None), (None, None)])
def test_flag(told: Any, shown: bool | None) -> None:
    assert profile(isOtherPerson=told) == Profile(is_other_person=shown)


@pytest.mark.parametrize("patient", [None, [], "x", 7, {}])
def test_patient_in_another_form_is_none(patient: Any) -> None:
    assert profile_from_document({"fullName": "Carol", "patient": patient}) == Profile("Carol")


def test_document_of_a_profile_says_the_same() -> None:
    full = Profile("Carol", "Cody", "1987-04-12", "A-1", ("dexcom",), "2001-09-18", True)
    assert profile_from_document({"fullName": "Carol", "patient": patient_document(full)}) == full
