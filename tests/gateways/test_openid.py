"""Client credentials at an identity provider that behaves well and badly."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways.http import MAX_ANSWER_BYTES
from clinic_service.gateways.openid import (
    CredentialsRefused,
    HttpOpenId,
    OpenIdNotConfigured,
    OpenIdUnreachable,
    UnusableIdToken,
    chosen_openid,
)
from tests.gateways.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    SUBJECT,
    IdentityProvider,
    answering,
    id_token,
    identity_provider,
    with_id_token,
)
from tests.gateways.openid_steps import refusal_of
from tests.support.http_server import HANG_SECONDS, Response, http_server
from tests.support.session_tokens import NOW


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def test_subject_of_accepted_credentials(provider: IdentityProvider, openid: HttpOpenId) -> None:
    assert openid.find_subject(CLIENT_ID, CLIENT_SECRET) == SUBJECT
    (attempt,) = provider.attempts
    assert attempt.method == "POST"
    assert attempt.headers["content-type"] == "application/x-www-form-urlencoded"
    assert attempt.headers["accept"] == "application/json"
    assert attempt.body == (
        b"grant_type=client_credentials&scope=openid"
        b"&client_id=night-report-export&client_secret=correct-horse-battery-staple"
    )


def test_credentials_stand_in_the_form_alone(provider: IdentityProvider, openid: HttpOpenId) -> None:
    openid.find_subject(CLIENT_ID, CLIENT_SECRET)
    assert provider.paths == ["/token", "/keys"]
    assert "authorization" not in provider.attempts[0].headers
    assert not any(CLIENT_SECRET in value for value in provider.attempts[0].headers.values())


def test_any_character_of_the_credentials_arrives(provider: IdentityProvider, openid: HttpOpenId) -> None:
    odd = "a b+c&client_id=x%26=;é€\r\n\u2028😀"
    provider.always(answering(aud=odd))
    assert openid.find_subject(odd, odd) == SUBJECT
    escaped = b"a+b%2Bc%26client_id%3Dx%2526%3D%3B%C3%A9%E2%82%AC%0D%0A%E2%80%A8%F0%9F%98%80"
    assert provider.attempts[0].body.endswith(b"&client_id=" + escaped + b"&client_secret=" + escaped)


@pytest.mark.parametrize(
    "credentials", [(CLIENT_ID, "wrong"), ("other", CLIENT_SECRET), (CLIENT_ID.upper(), CLIENT_SECRET)]
)
def test_other_credentials_are_refused(openid: HttpOpenId, credentials: tuple[str, str]) -> None:
    refusal = refusal_of(openid, *credentials)
    assert isinstance(refusal, CredentialsRefused)
    assert refusal.status == 400


@pytest.mark.parametrize("status", [400, 401])
def test_what_counts_as_a_refusal(provider: IdentityProvider, openid: HttpOpenId, status: int) -> None:
    provider.always(Response(status, body=b"whatever"))
    assert isinstance(refusal_of(openid), CredentialsRefused)


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(500), id="failure"),
        pytest.param(Response(503), id="overloaded"),
        pytest.param(Response(403), id="another refusal"),
        pytest.param(Response(404), id="nothing there"),
        pytest.param(Response(429), id="too often"),
        pytest.param(Response(200), id="empty"),
        pytest.param(Response(200, body=b"<html>"), id="no JSON"),
        pytest.param(Response(200, body=b"[" * 5000), id="deep"),
        pytest.param(Response(200, json=["id_token"]), id="no object"),
        pytest.param(Response(200, body=b'{"id_token":"' + b"x" * MAX_ANSWER_BYTES + b'"}'), id="too large"),
        pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
        pytest.param(Response(raw=b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n"), id="headers without end"),
    ],
)
def test_nonsense_and_failures(provider: IdentityProvider, openid: HttpOpenId, response: Response) -> None:
    provider.always(response)
    assert refusal_of(openid).status == 502
    assert provider.paths == ["/token"]


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(raw=b""), id="hung up"),
        pytest.param(Response(hang=True), id="no answer"),
        pytest.param(Response(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", hang=True), id="half an answer"),
        pytest.param(Response(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), id="cut off"),
    ],
)
def test_no_answer_is_502_and_is_not_waited_for(
    provider: IdentityProvider, openid: HttpOpenId, response: Response
) -> None:
    provider.always(response)
    began = time.monotonic()
    refusal = refusal_of(openid)
    assert isinstance(refusal, OpenIdUnreachable)
    assert refusal.status == 502
    assert time.monotonic() - began < HANG_SECONDS / 2
    # Providers count failed attempts, so there is one.
    assert provider.paths == ["/token"]


def test_nobody_there_is_502() -> None:
    with identity_provider() as gone:
        config = gone.config()
    assert isinstance(refusal_of(HttpOpenId(config)), OpenIdUnreachable)


@pytest.mark.parametrize("status", [201, 202, 203, 302, 403, 500])
def test_good_token_under_another_status(provider: IdentityProvider, openid: HttpOpenId, status: int) -> None:
    provider.always(replace(answering(), status=status))
    assert refusal_of(openid).status == 502


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_are_not_carried_elsewhere(provider: IdentityProvider, openid: HttpOpenId, status: int) -> None:
    with http_server(lambda _: answering()) as elsewhere:
        provider.always(Response(status, headers={"location": f"{elsewhere.url}/token"}))
        assert refusal_of(openid).status == 502
        assert elsewhere.received == []


@pytest.mark.parametrize(
    "token",
    [
        pytest.param({}, id="absent"),
        pytest.param({"id_token": None}, id="null"),
        pytest.param({"id_token": 7}, id="number"),
        pytest.param({"id_token": {"sub": SUBJECT}}, id="object"),
        pytest.param({"id_token": ""}, id="empty"),
        pytest.param({"id_token": "a.b.c"}, id="garbage"),
        pytest.param({"id_token": SUBJECT}, id="bare subject"),
    ],
)
def test_answer_without_an_id_token(provider: IdentityProvider, openid: HttpOpenId, token: dict[str, Any]) -> None:
    provider.always(Response(200, json={"access_token": id_token(), **token}))
    assert isinstance(refusal_of(openid), UnusableIdToken)


SPEAKING_OF_SECRETS = [
    pytest.param(Response(401, json={"error_description": f"bad secret {CLIENT_SECRET}"}), id="refused"),
    pytest.param(Response(500, body=CLIENT_SECRET.encode()), id="failure"),
    pytest.param(Response(200, body=CLIENT_SECRET.encode()), id="no JSON"),
    pytest.param(Response(raw=CLIENT_SECRET.encode() + b"\r\n"), id="no HTTP"),
    pytest.param(Response(hang=True), id="no answer"),
    pytest.param(Response(200, json={"id_token": CLIENT_SECRET}), id="no token"),
]


@pytest.mark.parametrize("response", SPEAKING_OF_SECRETS)
def test_errors_and_logs_hold_no_secret(
    provider: IdentityProvider, openid: HttpOpenId, response: Response, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.always(response)
    refusal = refusal_of(openid)
    text = "".join(traceback.format_exception(refusal)) + str(refusal) + repr(refusal) + refusal.message + caplog.text
    assert CLIENT_SECRET not in text
    assert CLIENT_ID not in text


def test_errors_and_logs_hold_no_token(
    provider: IdentityProvider, openid: HttpOpenId, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = id_token(aud="another-client")
    provider.always(with_id_token(token))
    text = "".join(traceback.format_exception(refusal_of(openid))) + caplog.text
    assert token not in text
    assert token.split(".")[1] not in text


def test_without_configuration_there_is_nobody_to_ask() -> None:
    with pytest.raises(OpenIdNotConfigured) as refusal:
        chosen_openid(Config()).find_subject(CLIENT_ID, CLIENT_SECRET)
    assert refusal.value.status == 502
    assert isinstance(refusal.value, BadGateway)


def test_configuration_chooses_the_provider(provider: IdentityProvider) -> None:
    assert chosen_openid(provider.config()).find_subject(CLIENT_ID, CLIENT_SECRET) == SUBJECT


def test_settings_come_from_the_environment(provider: IdentityProvider) -> None:
    given = provider.config()
    environ = {
        "CLINIC_AUTH_SERVICE_TOKEN_ENDPOINT": str(given.auth_service_token_endpoint),
        "CLINIC_AUTH_SERVICE_JWKS": str(given.auth_service_jwks),
        "CLINIC_AUTH_SERVICE_ISSUER": ISSUER,
    }
    assert Config.load(environ) == given


@pytest.mark.parametrize("missing", ["auth_service_jwks", "auth_service_issuer"])
def test_the_endpoint_is_of_no_use_without_keys_and_issuer(missing: str) -> None:
    settings = {"auth_service_jwks": "keys.json", "auth_service_issuer": ISSUER, missing: None}
    with pytest.raises(ConfigError, match="With CLINIC_AUTH_SERVICE_TOKEN_ENDPOINT, set"):
        Config(auth_service_token_endpoint="https://id.example/token", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["id.example/token", "ftp://id.example/token", "https://"])
def test_endpoint_that_cannot_be_called_stops_the_start(url: str) -> None:
    config = Config(
        auth_service_token_endpoint=url, auth_service_jwks="https://id.example/keys", auth_service_issuer=ISSUER
    )
    with pytest.raises(ConfigError, match="CLINIC_AUTH_SERVICE_TOKEN_ENDPOINT must be"):
        chosen_openid(config)


@pytest.mark.parametrize("source", ["no such file", "ftp://id.example/keys"])
def test_keys_that_cannot_be_read_stop_the_start(source: str) -> None:
    config = Config(
        auth_service_token_endpoint="https://id.example/token", auth_service_jwks=source, auth_service_issuer=ISSUER
    )
    with pytest.raises(ConfigError, match="CLINIC_AUTH_SERVICE_JWKS"):
        chosen_openid(config)
