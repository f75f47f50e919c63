"""Client credentials at an identity provider that behaves well and badly."""

from __future__ import annotations

import base64
import hmac
import logging
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway, ServiceError
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
from tests.support.http_server import HANG_SECONDS, Response, call_timeout, http_server
from tests.support.session_tokens import NOW, ec_jwk, ec_key, key_set, rsa_jwk, rsa_key

UUID_ID = "0b5a1d2e-7a51-4a5c-9f4e-6d2c1b3a4f5e"


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


@pytest.fixture
def openid(provider: IdentityProvider, request: pytest.FixtureRequest) -> HttpOpenId:
    return HttpOpenId(provider.config(), seconds=call_timeout(request))


def _refusal(openid: HttpOpenId, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        openid.find_subject(client_id, client_secret)
    return refusal.value


def _seconds_after_now(seconds: int) -> int:
    return int(NOW.timestamp()) + seconds


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
    refusal = _refusal(openid, *credentials)
    assert isinstance(refusal, CredentialsRefused)
    assert refusal.status == 400


@pytest.mark.parametrize("status", [400, 401])
def test_what_counts_as_a_refusal(provider: IdentityProvider, openid: HttpOpenId, status: int) -> None:
    provider.always(Response(status, body=b"whatever"))
    assert isinstance(_refusal(openid), CredentialsRefused)


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
    assert _refusal(openid).status == 502
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
    refusal = _refusal(openid)
    assert isinstance(refusal, OpenIdUnreachable)
    assert refusal.status == 502
    assert time.monotonic() - began < HANG_SECONDS / 2
    # Providers count failed attempts, so there is one.
    assert provider.paths == ["/token"]


def test_nobody_there_is_502() -> None:
    with identity_provider() as gone:
        config = gone.config()
    assert isinstance(_refusal(HttpOpenId(config)), OpenIdUnreachable)


@pytest.mark.parametrize("status", [201, 202, 203, 302, 403, 500])
def test_good_token_under_another_status(provider: IdentityProvider, openid: HttpOpenId, status: int) -> None:
    provider.always(replace(answering(), status=status))
    assert _refusal(openid).status == 502


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_are_not_carried_elsewhere(provider: IdentityProvider, openid: HttpOpenId, status: int) -> None:
    with http_server(lambda _: answering()) as elsewhere:
        provider.always(Response(status, headers={"location": f"{elsewhere.url}/token"}))
        assert _refusal(openid).status == 502
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
    assert isinstance(_refusal(openid), UnusableIdToken)


BAD_CLAIMS = [
    pytest.param({"aud": "another-client"}, id="for another client"),
    pytest.param({"aud": None}, id="for nobody"),
    pytest.param({"aud": [["night-report-export"]]}, id="odd audience"),
    pytest.param({"aud": [CLIENT_ID, "other"], "azp": "other"}, id="asked for by another client"),
    pytest.param({"azp": ""}, id="asked for by nobody"),
    pytest.param({"iss": "https://id.example/realms/other"}, id="another issuer"),
    pytest.param({"iss": f"{ISSUER}/"}, id="almost the issuer"),
    pytest.param({"iss": None}, id="no issuer"),
    pytest.param({"exp": _seconds_after_now(-31)}, id="expired"),
    pytest.param({"exp": None}, id="without an end"),
    pytest.param({"exp": True}, id="odd end"),
    pytest.param({"nbf": _seconds_after_now(31)}, id="not yet"),
    pytest.param({"sub": None}, id="without a subject"),
    pytest.param({"sub": ""}, id="empty subject"),
    pytest.param({"sub": "service-account-night-report"}, id="subject that is no user id"),
    pytest.param({"sub": SUBJECT.upper()}, id="subject in capitals"),
    pytest.param({"sub": f"{SUBJECT}\n"}, id="subject with a line end"),
]


@pytest.mark.parametrize("changes", BAD_CLAIMS)
def test_claims_that_must_not_be_believed(
    provider: IdentityProvider, openid: HttpOpenId, changes: dict[str, Any]
) -> None:
    provider.always(answering(**changes))
    refusal = _refusal(openid)
    assert isinstance(refusal, UnusableIdToken)
    assert refusal.status == 502


@pytest.mark.parametrize("subject", [7, [SUBJECT], {"id": SUBJECT}])
def test_subject_must_be_text(provider: IdentityProvider, openid: HttpOpenId, subject: Any) -> None:
    token = _with_odd_subject(subject)
    provider.always(with_id_token(token))
    assert isinstance(_refusal(openid), UnusableIdToken)


def _with_odd_subject(subject: Any) -> str:
    # A layer further down, since the library checks the subject of the tokens that it makes.
    claims = {"iss": ISSUER, "aud": CLIENT_ID, "sub": subject, "exp": _seconds_after_now(300)}
    return jwt.api_jws.encode(orjson.dumps(claims), rsa_key(), algorithm="RS256", headers={"kid": "one"})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": ["account", CLIENT_ID]}, id="for others as well"),
        pytest.param({"aud": ["account", CLIENT_ID], "azp": CLIENT_ID}, id="asked for by the client"),
        pytest.param({"exp": _seconds_after_now(-29)}, id="end within the leeway"),
        pytest.param({"nbf": _seconds_after_now(29)}, id="begin within the leeway"),
        pytest.param({"key_id": None}, id="unnamed key, of which there is one"),
    ],
)
def test_claims_that_are_believed(provider: IdentityProvider, openid: HttpOpenId, changes: dict[str, Any]) -> None:
    provider.always(answering(**changes))
    assert openid.find_subject(CLIENT_ID, CLIENT_SECRET) == SUBJECT


def test_subject_may_be_a_uuid(provider: IdentityProvider, openid: HttpOpenId) -> None:
    provider.always(answering(sub=UUID_ID))
    assert openid.find_subject(CLIENT_ID, CLIENT_SECRET) == UUID_ID


def test_signature_of_another_key(provider: IdentityProvider, openid: HttpOpenId) -> None:
    provider.always(answering(key=rsa_key("other")))
    assert isinstance(_refusal(openid), UnusableIdToken)


def test_key_that_the_provider_does_not_have(provider: IdentityProvider, openid: HttpOpenId) -> None:
    provider.always(answering(key=rsa_key("other"), key_id="two"))
    assert isinstance(_refusal(openid), UnusableIdToken)


def test_token_without_a_signature(provider: IdentityProvider, openid: HttpOpenId) -> None:
    for token in (id_token(algorithm="none"), id_token().rpartition(".")[0] + "."):
        provider.always(with_id_token(token))
        assert isinstance(_refusal(openid), UnusableIdToken)


def test_changed_claims(provider: IdentityProvider, openid: HttpOpenId) -> None:
    header, _, signature = id_token().split(".")
    _, claims, _ = id_token(sub="a11ce00001").split(".")
    provider.always(with_id_token(f"{header}.{claims}.{signature}"))
    assert isinstance(_refusal(openid), UnusableIdToken)


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_other_algorithms_of_the_same_key(provider: IdentityProvider, openid: HttpOpenId, algorithm: str) -> None:
    provider.always(answering(algorithm=algorithm))
    assert isinstance(_refusal(openid), UnusableIdToken)


@pytest.mark.parametrize("key_id", [None, "one"])
def test_secret_of_the_client_and_public_key_sign_nothing(
    provider: IdentityProvider, openid: HttpOpenId, key_id: str | None
) -> None:
    secret = CLIENT_SECRET * 2
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for key in (secret.encode(), public):
        provider.always(with_id_token(_signed_with_secret(key, key_id)))
        assert isinstance(_refusal(openid, client_secret=secret), UnusableIdToken)


def _signed_with_secret(key: bytes, key_id: str | None) -> str:
    """A good token but for its algorithm, HS256. By hand, since the library does not take a public key for a secret."""
    header = {"alg": "HS256"} | ({"kid": key_id} if key_id else {})
    claims = id_token().split(".")[1]
    signed = f"{_encoded(orjson.dumps(header))}.{claims}"
    return f"{signed}.{_encoded(hmac.digest(key, signed.encode(), 'sha256'))}"


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def test_keys_on_an_elliptic_curve(provider: IdentityProvider, openid: HttpOpenId) -> None:
    provider.keys = Response(200, body=key_set(ec_jwk("two"), rsa_jwk("one")))
    provider.always(answering(key=ec_key(), algorithm="ES256", key_id="two"))
    assert openid.find_subject(CLIENT_ID, CLIENT_SECRET) == SUBJECT


def test_keys_are_kept(provider: IdentityProvider, openid: HttpOpenId) -> None:
    for _ in range(3):
        openid.find_subject(CLIENT_ID, CLIENT_SECRET)
    assert provider.paths.count("/keys") == 1


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(Response(500), id="failure"),
        pytest.param(Response(200, body=key_set()), id="none"),
        pytest.param(Response(200, body=b"<html>"), id="no JSON"),
        pytest.param(Response(hang=True), id="no answer"),
    ],
)
def test_nobody_is_believed_while_keys_cannot_be_had(
    provider: IdentityProvider, openid: HttpOpenId, keys: Response
) -> None:
    provider.keys = keys
    refusal = _refusal(openid)
    assert isinstance(refusal, OpenIdUnreachable)
    assert refusal.status == 502


def test_keys_from_a_file(provider: IdentityProvider, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(rsa_jwk("one")))
    config = Config(
        auth_service_token_endpoint=provider.config().auth_service_token_endpoint,
        auth_service_jwks=str(file),
        auth_service_issuer=ISSUER,
    )
    assert HttpOpenId(config).find_subject(CLIENT_ID, CLIENT_SECRET) == SUBJECT
    assert provider.paths == ["/token"]


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
    refusal = _refusal(openid)
    text = "".join(traceback.format_exception(refusal)) + str(refusal) + repr(refusal) + refusal.message + caplog.text
    assert CLIENT_SECRET not in text
    assert CLIENT_ID not in text


def test_errors_and_logs_hold_no_token(
    provider: IdentityProvider, openid: HttpOpenId, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = id_token(aud="another-client")
    provider.always(with_id_token(token))
    text = "".join(traceback.format_exception(_refusal(openid))) + caplog.text
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
