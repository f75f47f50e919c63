"""Redox over HTTP, against a real server that behaves well and badly."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway, ServiceError, Unavailable
from clinic_service.gateways.breaker import CircuitOpen
from clinic_service.gateways.redox import HttpRedox, RedoxRefused, chosen_redox
from tests.support.http_server import Response, call_timeout
from tests.support.redox import BLOB_URI, KEY_ID, PDF, Redox, private_key, redox_server
from tests.support.session_tokens import NOW

MESSAGE = {"Meta": {"DataModel": "Notes"}, "Patient": {"Demographics": {"LastName": "Cooper"}}}
NONSENSE = [
    pytest.param(Response(302, headers={"location": "/elsewhere"}), id="redirect"),
    pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
]
SILENCE = [
    pytest.param(Response(raw=b""), id="hung up"),
    pytest.param(Response(hang=True), id="no answer"),
    pytest.param(Response(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", hang=True), id="half an answer"),
]


@pytest.fixture
def redox() -> Iterator[Redox]:
    with clock.frozen(NOW), redox_server() as running:
        yield running


@pytest.fixture
def gateway(redox: Redox, request: pytest.FixtureRequest) -> HttpRedox:
    return HttpRedox(redox.config(), seconds=call_timeout(request))


def test_message_is_sent_with_a_token(redox: Redox, gateway: HttpRedox) -> None:
    gateway.send(MESSAGE)
    assert redox.paths == ["/token", "/endpoint"]
    (sent,) = redox.received("/endpoint")
    assert sent.method == "POST"
    assert sent.headers["authorization"] == "Bearer token-1"
    assert sent.headers["content-type"] == "application/json"
    assert sent.json == MESSAGE


def test_assertion_proves_who_asks_and_is_good_for_five_minutes(redox: Redox, gateway: HttpRedox) -> None:
    gateway.send(MESSAGE)
    (claims,) = redox.assertions
    assert claims["exp"] - claims["iat"] == 300
    (asked,) = redox.received("/token")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in asked.headers


def test_token_is_kept_until_a_minute_before_it_expires(redox: Redox, gateway: HttpRedox) -> None:
    redox.expires_in = 300
    gateway.send(MESSAGE)
    with clock.frozen(NOW + timedelta(seconds=239)):
        gateway.send(MESSAGE)
    assert redox.paths.count("/token") == 1
    with clock.frozen(NOW + timedelta(seconds=240)):
        gateway.send(MESSAGE)
    assert redox.paths.count("/token") == 2
    assert [one.headers["authorization"] for one in redox.received("/endpoint")] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_assertion_is_used_once(redox: Redox, gateway: HttpRedox) -> None:
    redox.expires_in = 0
    gateway.send(MESSAGE)
    gateway.send(MESSAGE)
    assert len({claims["jti"] for claims in redox.assertions}) == 2


def test_token_that_expired_early_is_renewed_once(redox: Redox, gateway: HttpRedox) -> None:
    gateway.send(MESSAGE)
    redox.valid.clear()
    gateway.send(MESSAGE)
    assert redox.paths == ["/token", "/endpoint", "/endpoint", "/token", "/endpoint"]


def test_token_refused_again_is_a_refusal(redox: Redox, gateway: HttpRedox) -> None:
    redox.endpoint = lambda _: Response(401)
    with pytest.raises(RedoxRefused, match="401"):
        gateway.send(MESSAGE)
    assert redox.paths == ["/token", "/endpoint"] * 2


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_message_that_is_taken(redox: Redox, gateway: HttpRedox, status: int) -> None:
    redox.endpoint = lambda _: Response(status)
    gateway.send(MESSAGE)


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500, 503])
def test_message_that_is_refused_is_not_sent_again(redox: Redox, gateway: HttpRedox, status: int) -> None:
    redox.endpoint = lambda _: Response(status, json={"message": "Cooper is unknown"})
    with pytest.raises(RedoxRefused) as refusal:
        gateway.send(MESSAGE)
    assert refusal.value.message == f"Redox answered with status {status}."
    assert len(redox.messages) == 1


@pytest.mark.parametrize("response", NONSENSE)
def test_answer_that_makes_no_sense(redox: Redox, gateway: HttpRedox, response: Response) -> None:
    redox.endpoint = lambda _: response
    with pytest.raises(BadGateway):
        gateway.send(MESSAGE)
    assert "/elsewhere" not in redox.paths


@pytest.mark.parametrize("response", SILENCE)
def test_message_without_an_answer_is_not_sent_again(redox: Redox, gateway: HttpRedox, response: Response) -> None:
    """Whether it was taken is not known, so whoever sends it decides."""
    redox.endpoint = lambda _: response
    with pytest.raises(Unavailable):
        gateway.send(MESSAGE)
    assert len(redox.messages) == 1


def test_redox_that_gives_no_answer_is_left_alone_for_a_while(redox: Redox, gateway: HttpRedox) -> None:
    redox.endpoint = lambda _: Response(raw=b"")
    for _ in range(5):
        with pytest.raises(Unavailable):
            gateway.send(MESSAGE)
    with pytest.raises(CircuitOpen):
        gateway.send(MESSAGE)
    assert len(redox.messages) == 5


@pytest.mark.parametrize(
    "response",
    [
        *NONSENSE,
        pytest.param(Response(401, json={"error": "invalid_client"}), id="refusal"),
        pytest.param(Response(500), id="failure"),
        pytest.param(Response(200), id="empty"),
        pytest.param(Response(200, body=b"<html>"), id="no JSON"),
        pytest.param(Response(200, json={}), id="no token"),
        pytest.param(Response(200, json={"access_token": "a\r\nb", "expires_in": 300}), id="token of two lines"),
        pytest.param(Response(200, json={"access_token": "t", "token_type": "mac"}), id="another kind of token"),
        pytest.param(Response(200, json={"access_token": "t", "expires_in": "soon"}), id="expiry that is no number"),
    ],
)
def test_token_endpoint_that_refuses_or_makes_no_sense(redox: Redox, gateway: HttpRedox, response: Response) -> None:
    redox.token = lambda _: response
    with pytest.raises(BadGateway):
        gateway.send(MESSAGE)
    assert redox.paths == ["/token"]


@pytest.mark.parametrize("response", SILENCE)
def test_token_endpoint_without_an_answer(redox: Redox, gateway: HttpRedox, response: Response) -> None:
    redox.token = lambda _: response
    with pytest.raises(Unavailable):
        gateway.send(MESSAGE)
    assert redox.messages == []


def test_file_is_uploaded(redox: Redox, gateway: HttpRedox) -> None:
    assert gateway.upload("report.pdf", PDF) == BLOB_URI
    assert redox.uploads == [("report.pdf", PDF)]
    assert redox.received("/upload")[0].headers["authorization"] == "Bearer token-1"


def test_file_holds_any_bytes(redox: Redox, gateway: HttpRedox) -> None:
    content = bytes(range(256)) * 300 + b"\r\n--boundary\r\n"
    gateway.upload("report.pdf", content)
    assert redox.uploads == [("report.pdf", content)]


@pytest.mark.parametrize(
    "response",
    [
        *NONSENSE,
        pytest.param(Response(413), id="refusal"),
        pytest.param(Response(500), id="failure"),
        pytest.param(Response(200), id="empty"),
        pytest.param(Response(200, json=[]), id="no object"),
        pytest.param(Response(200, json={}), id="no address"),
        pytest.param(Response(200, json={"URI": 7}), id="address that is no text"),
        pytest.param(Response(200, json={"URI": "file:///etc/passwd"}), id="address elsewhere"),
    ],
)
def test_upload_that_is_refused_or_makes_no_sense(redox: Redox, gateway: HttpRedox, response: Response) -> None:
    redox.blob = lambda _: response
    with pytest.raises(BadGateway):
        gateway.upload("report.pdf", PDF)


def test_upload_without_an_answer(redox: Redox, gateway: HttpRedox) -> None:
    redox.blob = lambda _: Response(raw=b"")
    with pytest.raises(Unavailable):
        gateway.upload("report.pdf", PDF)


@pytest.mark.parametrize("response", [Response(400, json={"message": "Cooper"}), Response(raw=b"garbage\r\n\r\n")])
def test_failures_tell_nothing_of_patients_and_secrets(redox: Redox, gateway: HttpRedox, response: Response) -> None:
    redox.endpoint = lambda _: response
    with pytest.raises(ServiceError) as failure:
        gateway.send(MESSAGE)
    told = "".join(traceback.format_exception_only(failure.value)) + failure.value.message
    assert not any(secret in told for secret in ("Cooper", "token-1", private_key()))


def test_redox_is_off_unless_it_is_switched_on(redox: Redox) -> None:
    assert chosen_redox(Config()) is None
    assert chosen_redox(redox.config()) is not None


@pytest.mark.parametrize("name", ["redox_endpoint_url", "redox_token_url", "redox_blob_url"])
def test_address_that_cannot_be_called_stops_the_start(redox: Redox, name: str) -> None:
    with pytest.raises(ConfigError, match=f"CLINIC_{name.upper()}"):
        chosen_redox(redox.config(**{name: "redox.example"}))


@pytest.mark.parametrize("key", ["no key", private_key().replace("PRIVATE", "PUBLIC"), "\ud800"])
def test_key_that_is_none_stops_the_start(redox: Redox, key: str) -> None:
    with pytest.raises(ConfigError, match="CLINIC_REDOX_PRIVATE_KEY") as refusal:
        chosen_redox(redox.config(redox_private_key=key))
    assert key not in refusal.value.message


@pytest.mark.parametrize("name", ["client_id", "key_id", "private_key", "source_id", "source_name"])
def test_redox_needs_its_settings(redox: Redox, name: str) -> None:
    setting: dict[str, Any] = {f"redox_{name}": None}
    with pytest.raises(ConfigError, match=f"CLINIC_REDOX_{name.upper()}"):
        redox.config(**setting)


def test_key_id_is_named(redox: Redox) -> None:
    """Redox could not tell which key to check with."""
    gateway = HttpRedox(redox.config(redox_key_id="another"))
    with pytest.raises(BadGateway):
        gateway.send(MESSAGE)
    assert KEY_ID != "another"
