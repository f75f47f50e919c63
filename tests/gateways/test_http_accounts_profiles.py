"""Profiles that the profiles service returns, and changes of accounts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from clinic_service.errors import BadGateway
from clinic_service.gateways.accounts import AccountNotFound, EmailTaken, Profile
from clinic_service.gateways.accounts.http import HttpAccounts
from tests.gateways.accounts_platform import ACCOUNT, CAROL, CLINIC_ID, USER_ID, Platform, always, platform_config
from tests.support.http_server import Response, call_timeout, http_server


@pytest.fixture
def platform() -> Iterator[Platform]:
    with http_server(lambda _: Response(404)) as server:
        yield Platform(server)


@pytest.fixture
def accounts(platform: Platform, request: pytest.FixtureRequest) -> HttpAccounts:
    return HttpAccounts(platform_config(platform.server.url), seconds=call_timeout(request))


def test_profile(platform: Platform, accounts: HttpAccounts) -> None:
    patient = {
        "fullName": "Cody Cooper",
        "birthday": "1987-04-12",
        "mrn": "MRN-20417",
        "targetDevices": ["dexcom"],
        "email": "cody@mail.example",
    }
    platform.answer = always(Response(200, json={"fullName": "Carol Cooper", "patient": patient}))
    assert accounts.find_profile(USER_ID) == Profile(
        "Carol Cooper", "Cody Cooper", "1987-04-12", "MRN-20417", ("dexcom",)
    )
    assert platform.calls[-1] == f"GET /metadata/{USER_ID}/profile"


def test_profile_of_somebody_who_acts_for_a_patient(platform: Platform, accounts: HttpAccounts) -> None:
    patient = {"isOtherPerson": True, "diagnosisDate": "2001-09-18"}
    platform.answer = always(Response(200, json={"patient": patient}))
    assert accounts.find_profile(USER_ID) == Profile(diagnosis_date="2001-09-18", is_other_person=True)


def test_profiles_of_several_users(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, json={"fullName": "Carol Cooper"}))
    ids = {USER_ID, *(f"{number:010x}" for number in range(20))}
    assert accounts.find_profiles(ids) == dict.fromkeys(ids, Profile("Carol Cooper"))
    assert {f"GET /metadata/{user_id}/profile" for user_id in ids} <= set(platform.calls)
    assert accounts.find_profiles(set()) == {}


@pytest.mark.parametrize(
    "document",
    [{}, {"fullName": " ", "patient": None}, {"patient": []}, {"patient": {"mrn": "", "birthday": ""}}],
)
def test_profile_that_says_nothing(platform: Platform, accounts: HttpAccounts, document: dict[str, Any]) -> None:
    platform.answer = always(Response(200, json=document))
    assert accounts.find_profile(USER_ID) == Profile()


@pytest.mark.parametrize("birthday", ["12.04.1987", "1987-02-30", "19870412", "1987-4-12", "0000-01-01"])
def test_birthday_that_is_no_date_counts_as_none(platform: Platform, accounts: HttpAccounts, birthday: str) -> None:
    platform.answer = always(Response(200, json={"patient": {"birthday": birthday}}))
    assert accounts.find_profile(USER_ID).birthday is None


@pytest.mark.parametrize("full_name", ["Carol \ud800Cooper", "Carol \x00Cooper"])
def test_text_that_nobody_can_store_is_mended(platform: Platform, accounts: HttpAccounts, full_name: str) -> None:
    platform.answer = always(Response(200, body=json.dumps({"fullName": full_name}).encode()))
    assert accounts.find_profile(USER_ID) == Profile("Carol Cooper")


def test_text_that_is_not_utf8_does_not_hide_the_rest(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, body=b'{"fullName": "Caf\xe9", "patient": {"mrn": "A-1"}}'))
    assert accounts.find_profile(USER_ID) == Profile("Caf\ufffd", mrn="A-1")


@pytest.mark.parametrize(
    ("email", "body"),
    [("New@Mail.example", {"username": "new@mail.example", "emails": ["new@mail.example"]}), (None, {})],
)
def test_custodial_account_is_made(
    platform: Platform, accounts: HttpAccounts, email: str | None, body: dict[str, Any]
) -> None:
    platform.answer = always(Response(201, json=CAROL))
    assert accounts.create_custodial(CLINIC_ID, email) == ACCOUNT
    assert platform.calls[-1] == f"POST /v1/clinics/{CLINIC_ID}/users"
    assert platform.last.headers["content-type"] == "application/json"
    assert platform.last.json == body


@pytest.mark.parametrize(
    ("email", "updates"),
    [("New@Mail.example", {"username": "new@mail.example", "emails": ["new@mail.example"]}), (None, {"emails": []})],
)
def test_address_is_changed(
    platform: Platform, accounts: HttpAccounts, email: str | None, updates: dict[str, Any]
) -> None:
    platform.answer = always(Response(200, json=CAROL))
    accounts.update_custodial_email(USER_ID, email)
    assert platform.calls[-1] == f"PUT /user/{USER_ID}"
    assert platform.last.json == {"updates": updates}


def test_address_of_somebody_else_is_taken(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(409))
    with pytest.raises(EmailTaken):
        accounts.create_custodial(CLINIC_ID, "carol@mail.example")
    with pytest.raises(EmailTaken):
        accounts.update_custodial_email(USER_ID, "carol@mail.example")


def test_address_of_an_unknown_account_cannot_be_changed(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(404))
    with pytest.raises(AccountNotFound):
        accounts.update_custodial_email(USER_ID, "carol@mail.example")


@pytest.mark.parametrize("status", [200, 202, 204, 404])
def test_account_is_removed(platform: Platform, accounts: HttpAccounts, status: int) -> None:
    platform.answer = always(Response(status))
    accounts.remove(USER_ID)
    assert platform.calls[-1] == f"DELETE /user/{USER_ID}"


def test_account_that_cannot_be_removed(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(403))
    with pytest.raises(BadGateway):
        accounts.remove(USER_ID)
