"""ID tokens of the identity provider: their claims, signatures and keys."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.gateways.openid import HttpOpenId, OpenIdUnreachable, UnusableIdToken
from tests.gateways.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    SUBJECT,
    IdentityProvider,
    answering,
    id_token,
    with_id_token,
)
from tests.gateways.openid_steps import refusal_of
from tests.support.http_server import Response
from tests.support.session_tokens import NOW, ec_jwk, ec_key, key_set, rsa_jwk, rsa_key

UUID_ID = "0b5a1d2e-7a51-4a5c-9f4e-6d2c1b3a4f5e"


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def _seconds_after_now(seconds: int) -> int:
    return int(NOW.timestamp()) + seconds


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
    refusal = refusal_of(openid)
    assert isinstance(refusal, UnusableIdToken)
    assert refusal.status == 502


@pytest.mark.parametrize("subject", [7, [SUBJECT], {"id": SUBJECT}])
def test_subject_must_be_text(provider: IdentityProvider, openid: HttpOpenId, subject: Any) -> None:
    token = _with_odd_subject(subject)
    provider.always(with_id_token(token))
    assert isinstance(refusal_of(openid), UnusableIdToken)


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
    assert isinstance(refusal_of(openid), UnusableIdToken)


def test_key_that_the_provider_does_not_have(provider: IdentityProvider, openid: HttpOpenId) -> None:
    provider.always(answering(key=rsa_key("other"), key_id="two"))
    assert isinstance(refusal_of(openid), UnusableIdToken)


def test_token_without_a_signature(provider: IdentityProvider, openid: HttpOpenId) -> None:
    for token in (id_token(algorithm="none"), id_token().rpartition(".")[0] + "."):
        provider.always(with_id_token(token))
        assert isinstance(refusal_of(openid), UnusableIdToken)


def test_changed_claims(provider: IdentityProvider, openid: HttpOpenId) -> None:
    header, _, signature = id_token().split(".")
    _, claims, _ = id_token(sub="a11ce00001").split(".")
    provider.always(with_id_token(f"{header}.{claims}.{signature}"))
    assert isinstance(refusal_of(openid), UnusableIdToken)


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_other_algorithms_of_the_same_key(provider: IdentityProvider, openid: HttpOpenId, algorithm: str) -> None:
    provider.always(answering(algorithm=algorithm))
    assert isinstance(refusal_of(openid), UnusableIdToken)


@pytest.mark.parametrize("key_id", [None, "one"])
def test_secret_of_the_client_and_public_key_sign_nothing(
    provider: IdentityProvider, openid: HttpOpenId, key_id: str | None
) -> None:
    secret = CLIENT_SECRET * 2
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for key in (secret.encode(), public):
        provider.always(with_id_token(_signed_with_secret(key, key_id)))
        assert isinstance(refusal_of(openid, client_secret=secret), UnusableIdToken)


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
    refusal = refusal_of(openid)
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
