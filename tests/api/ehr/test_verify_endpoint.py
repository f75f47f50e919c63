"""VerifyEndpoint: POST /v1/redox/verify"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.ehr import REDOX, REDOX_SECRET
from tests.support.errors import assert_error, assert_violations
from tests.support.units import everything

pytestmark = pytest.mark.one_engine

CHALLENGE = "5c1c7a6e-6d0d-4b5e-9d3a-2f64c1a7e9b0"
RIGHT = {"verification-token": REDOX_SECRET, "challenge": CHALLENGE}
PATH = "/v1/redox/verify"


def verify(api: Client, body: Any = RIGHT, **rest: Any) -> Reply:
    return api.post(PATH, json=body, **rest)


def test_answers_the_challenge(redox: Client) -> None:
    for _ in range(2):
        reply = verify(redox)
        assert (reply.status, reply.json) == (200, {"challenge": CHALLENGE})


@pytest.mark.parametrize("challenge", ["", "a", "x" * 4096, "é\n\"'</script>"])
def test_the_challenge_comes_back_unchanged(redox: Client, challenge: str) -> None:
    assert verify(redox, RIGHT | {"challenge": challenge}).json == {"challenge": challenge}


def test_an_absent_challenge_comes_back_empty(redox: Client) -> None:
    assert verify(redox, {"verification-token": REDOX_SECRET}).json == {"challenge": ""}


def test_other_members_are_ignored(redox: Client) -> None:
    assert verify(redox, RIGHT | {"more": [1]}).status == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_the_body_is_json_whatever_is_said_of_it(redox: Client, content_type: str | None) -> None:
    data = '{"verification-token": "a sécret shared with Redox", "challenge": "x"}'.encode()
    reply = redox.post(PATH, data=data, content_type=content_type)
    assert (reply.status, reply.json) == (200, {"challenge": "x"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"challenge": CHALLENGE},
        RIGHT | {"verification-token": ""},
        RIGHT | {"verification-token": REDOX_SECRET[:-1]},
        RIGHT | {"verification-token": REDOX_SECRET + " "},
        RIGHT | {"verification-token": REDOX_SECRET.upper()},
        RIGHT | {"verification-token": REDOX_SECRET.encode().decode("latin-1")},
        RIGHT | {"verification-token": "\u65e5\u672c"},
    ],
)
def test_a_wrong_or_absent_secret_is_refused(redox: Client, body: dict[str, str]) -> None:
    reply = verify(redox, body)
    assert_error(reply, 401)
    assert CHALLENGE not in reply.body.decode()


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_an_absent_body_is_refused(redox: Client, data: bytes) -> None:
    assert_error(redox.post(PATH, data=data, content_type="application/json"), 401)


@pytest.mark.parametrize("data", [b"{", b"\xff", b"null {}", b'{"verification-token": "a", "verification-token": "a"}'])
def test_an_unreadable_body_is_bad_input(redox: Client, data: bytes) -> None:
    assert_error(redox.post(PATH, data=data), 400)


@pytest.mark.parametrize("body", [None, [], "text", 7, [RIGHT]])
def test_a_body_that_is_no_object_has_no_secret(redox: Client, body: Any) -> None:
    assert_error(verify(redox, body), 401)


@pytest.mark.parametrize("value", [None, 7, True, [], {}, "x" * 5000])
def test_a_secret_that_cannot_be_one_is_refused(redox: Client, value: Any) -> None:
    assert_error(verify(redox, RIGHT | {"verification-token": value}), 401)


CHALLENGES = pytest.mark.parametrize(
    ("value", "rule"), [(None, "type"), (7, "type"), (True, "type"), ([], "type"), ("x" * 4097, "maxLength")]
)


@CHALLENGES
def test_a_challenge_that_cannot_be_sent_back_is_bad_input(redox: Client, value: Any, rule: str) -> None:
    assert_violations(verify(redox, RIGHT | {"challenge": value}), ("/body/challenge", rule))


@CHALLENGES
def test_who_lacks_the_secret_learns_nothing_of_the_challenge(redox: Client, value: Any, rule: str) -> None:
    reply = verify(redox, {"verification-token": "another", "challenge": value})
    assert_error(reply, 401)
    assert "errors" not in reply.json, rule


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_neither_a_session_nor_the_header_is_a_proof(redox: Client, caller: Somebody) -> None:
    assert_error(verify(redox, {"challenge": CHALLENGE}, as_=caller, headers=REDOX), 401)


@pytest.mark.parametrize("secret", [REDOX_SECRET, "", None])
def test_without_a_configured_secret_nobody_passes(api: Client, secret: str | None) -> None:
    body = {"challenge": CHALLENGE} if secret is None else RIGHT | {"verification-token": secret}
    assert_error(verify(api, body), 401)


def test_stores_nothing(redox: Client, database: Database) -> None:
    before = everything(database)
    verify(redox)
    verify(redox, {})
    assert everything(database) == before
