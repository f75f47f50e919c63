"""The header `Prefer: handling=strict`: query parameters that an operation does not have are refused."""

from __future__ import annotations

import pytest

from tests.support.cast import ALICE, MALLORY, SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations

UNKNOWN = ("/query/*", "unknown")


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "prefer",
    [
        "handling=strict",
        "Handling=STRICT",
        ' handling = "strict" ',
        "return=minimal, handling=strict",
        "handling=strict; why=typo, wait=5",
        "handling=strict, handling=lenient",
    ],
)
def test_a_misspelt_filter_is_refused(api: Client, prefer: str) -> None:
    reply = api.get("/v1/clinics?limit=5&shareCod=canary", as_=SERVICE, headers={"Prefer": prefer})
    assert_violations(reply, UNKNOWN)
    assert "shareCode" in reply.json["errors"][0]["expected"]
    assert "canary" not in str(reply.json)
    assert reply.headers["Preference-Applied"] == "handling=strict"


@pytest.mark.parametrize(
    "prefer",
    [
        None,
        "",
        "handling=lenient",
        "handling",
        "handling=strictly",
        "xhandling=strict",
        "handling=lenient, handling=strict",
    ],
)
def test_without_the_preference_it_is_ignored(api: Client, prefer: str | None) -> None:
    reply = api.get("/v1/clinics?shareCod=x", as_=SERVICE, headers={} if prefer is None else {"Prefer": prefer})
    assert reply.status == 200
    assert "Preference-Applied" not in reply.headers


def test_what_the_operation_knows_is_taken_and_the_preference_confirmed(api: Client) -> None:
    reply = api.get("/v1/clinics?limit=5", as_=SERVICE, headers={"Prefer": "handling=strict"})
    assert (reply.status, reply.json) == (200, [])
    assert reply.headers["Preference-Applied"] == "handling=strict"


@pytest.mark.one_engine
def test_an_operation_without_query_parameters_takes_none(api: Client) -> None:
    reply = api.get(f"/access/{ALICE.id}?x=1", as_=SERVICE, headers={"Prefer": "handling=strict"})
    assert_violations(reply, UNKNOWN)
    assert reply.json["errors"][0]["expected"] == []


def test_access_is_decided_first(api: Client) -> None:
    reply = api.get(f"/access/{ALICE.id}?x=1", as_=MALLORY, headers={"Prefer": "handling=strict"})
    assert_error(reply, 403)
    assert "Preference-Applied" not in reply.headers
