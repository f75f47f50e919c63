"""Which key a token is checked with, and where public keys come from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from clinic_service import clock, deadline
from clinic_service.config import ConfigError
from clinic_service.deadline import DeadlineExceeded
from clinic_service.errors import Unauthenticated
from clinic_service.gateways.session_keys import Jwks, KeyRing, KeysUnreachable, SessionKey, usable_keys
from tests.support.http_server import Received, Response, http_server
from tests.support.session_tokens import NOW, SECRET, ec_jwk, key_set, rsa_jwk, rsa_key


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def _later(seconds: float) -> Any:
    return clock.frozen(NOW + timedelta(seconds=seconds))


def _ring(folder: Path, *entries: dict[str, Any], secret: str | None = None) -> KeyRing:
    file = folder / "keys.json"
    file.write_bytes(key_set(*entries))
    return KeyRing(secret, Jwks(str(file)))


def test_the_only_key_needs_no_name(tmp_path: Path) -> None:
    assert KeyRing(SECRET).find(None).algorithm == "HS256"
    assert KeyRing(SECRET).find("any name").algorithm == "HS256"
    assert _ring(tmp_path, rsa_jwk("one")).find(None).id == "one"
    assert _ring(tmp_path, rsa_jwk(None)).find("any name").algorithm == "RS256"


def test_the_only_key_is_not_used_for_another_name(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated):
        _ring(tmp_path, rsa_jwk("one")).find("two")


def test_several_keys_are_told_apart_by_name(tmp_path: Path) -> None:
    ring = _ring(tmp_path, rsa_jwk("one"), ec_jwk("two"))
    assert [ring.find("one").algorithm, ring.find("two").algorithm] == ["RS256", "ES256"]
    with pytest.raises(Unauthenticated):
        ring.find(None)


def test_unnamed_token_is_the_secrets_when_all_other_keys_have_names(tmp_path: Path) -> None:
    ring = _ring(tmp_path, rsa_jwk("one"), secret=SECRET)
    assert ring.find(None).algorithm == "HS256"
    assert ring.find("one").algorithm == "RS256"
    with pytest.raises(Unauthenticated):
        ring.find("two")


def test_two_keys_of_one_name_are_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated):
        _ring(tmp_path, rsa_jwk("one"), rsa_jwk("one", "other")).find("one")


def test_provider_that_was_never_reached_leaves_the_secret_usable() -> None:
    with http_server(lambda _: Response(500)) as server:
        ring = KeyRing(SECRET, Jwks(server.url))
        assert ring.find(None).algorithm == "HS256"
        assert server.received == []
        with pytest.raises(KeysUnreachable):
            ring.find("one")


def test_url_is_read_at_the_first_token_and_kept() -> None:
    with http_server(lambda _: Response(body=key_set(rsa_jwk("one")))) as server:
        ring = KeyRing(None, Jwks(server.url))
        assert server.received == []
        for seconds in (0, 1, 7200):
            with _later(seconds):
                assert ring.find("one").id == "one"
        assert len(server.received) == 1


def test_unknown_name_makes_the_url_read_again_once_a_minute() -> None:
    with http_server(lambda _: Response(body=key_set(rsa_jwk("one")))) as server:
        ring = KeyRing(None, Jwks(server.url))
        ring.find("one")
        for seconds, requests in ((0, 1), (59, 1), (60, 2), (119, 2), (120, 3)):
            with _later(seconds), pytest.raises(Unauthenticated):
                ring.find("two")
            assert len(server.received) == requests
        server.answer = lambda _: Response(body=key_set(rsa_jwk("two", "other")))
        with _later(180):
            assert ring.find("two").id == "two"
            with pytest.raises(Unauthenticated):
                ring.find("one")


def test_while_the_url_is_read_nobody_waits_longer_than_their_own_request_may_take() -> None:
    asked, let_go = threading.Event(), threading.Event()

    def answer(_: Received) -> Response:
        asked.set()
        let_go.wait(10)
        return Response(body=key_set(rsa_jwk("one")))

    with http_server(answer) as server:
        ring = KeyRing(None, Jwks(server.url))
        found: list[SessionKey] = []
        first = threading.Thread(target=lambda: found.append(ring.find("one")))
        first.start()
        assert asked.wait(10)
        with deadline.limited(0.05), pytest.raises(DeadlineExceeded):
            ring.find("one")
        let_go.set()
        first.join()
        assert [key.id for key in found] == ["one"]
        assert len(server.received) == 1


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(500), id="failure"),
        pytest.param(Response(302, headers={"location": "/keys"}), id="redirect"),
        pytest.param(Response(body=b"<html>"), id="no JSON"),
        pytest.param(Response(body=key_set()), id="no keys"),
        pytest.param(Response(body=key_set({"kty": "oct", "k": "c2VjcmV0"})), id="no usable keys"),
        pytest.param(Response(hang=True), id="no answer"),
    ],
)
def test_while_keys_cannot_be_had_nobody_is_judged(response: Response) -> None:
    with http_server(lambda _: response) as server:
        ring = KeyRing(None, Jwks(server.url, seconds=0.2))
        for _ in range(3):
            with pytest.raises(KeysUnreachable):
                ring.find("one")
        assert len(server.received) == 1
        server.answer = lambda _: Response(body=key_set(rsa_jwk("one")))
        with _later(5):
            assert ring.find("one").id == "one"


def test_outage_after_a_good_start_leaves_known_keys_in_force() -> None:
    with http_server(lambda _: Response(body=key_set(rsa_jwk("one")))) as server:
        ring = KeyRing(None, Jwks(server.url))
        ring.find("one")
        server.answer = lambda _: Response(503)
        with _later(60):
            with pytest.raises(KeysUnreachable):
                ring.find("two")
            assert ring.find("one").id == "one"
        server.answer = lambda _: Response(body=key_set(rsa_jwk("one")))
        with _later(120), pytest.raises(Unauthenticated):
            ring.find("two")


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    ring = _ring(tmp_path, rsa_jwk("one"))
    (tmp_path / "keys.json").write_bytes(key_set(rsa_jwk("two", "other")))
    with _later(60):
        assert ring.find("two").id == "two"


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[7]}', key_set()])
def test_file_without_usable_keys_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="CLINIC_SESSION_JWKS"):
        Jwks(str(file))


@pytest.mark.parametrize("source", ["ftp://id.example/keys", "https://", "file:///keys.json"])
def test_url_that_cannot_be_fetched_stops_the_start(source: str) -> None:
    with pytest.raises(ConfigError, match="CLINIC_SESSION_JWKS"):
        Jwks(source)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(rsa_jwk("x", use="enc"), id="for encryption"),
        pytest.param(rsa_jwk("x", alg="RS512"), id="other algorithm"),
        pytest.param(rsa_jwk("x", alg="HS256"), id="algorithm of secrets"),
        pytest.param(rsa_jwk("x", kid=7), id="name is no text"),
        pytest.param(rsa_jwk("x", n="!"), id="broken"),
        pytest.param(ec_jwk("x", y=None), id="half"),
        pytest.param({"kty": "oct", "kid": "x", "k": "c2VjcmV0"}, id="secret"),
        pytest.param({"kid": "x"}, id="empty"),
        pytest.param({"kty": ["RSA"]}, id="odd kind"),
    ],
)
def test_unusable_keys_are_passed_over(entry: dict[str, Any]) -> None:
    assert [key.id for key in usable_keys(key_set(entry, rsa_jwk("good")))] == ["good"]


def test_weak_keys_and_other_curves_are_passed_over() -> None:
    weak = RSAAlgorithm.to_jwk(rsa_key("weak", 1024).public_key(), as_dict=True)
    other_curve = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
    assert usable_keys(key_set(weak, other_curve)) == ()


def test_private_parts_are_not_loaded() -> None:
    private = RSAAlgorithm.to_jwk(rsa_key(), as_dict=True)
    (key,) = usable_keys(key_set(private))
    assert not hasattr(key.material, "private_numbers")


def test_printed_key_shows_no_material() -> None:
    assert SECRET not in repr(KeyRing(SECRET).find(None))
