"""The keys by which requests are told apart before anybody looks at their tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.api.caller_keys import CallerKeys, client_address
from clinic_service.gateways.session_keys import KeyRing
from clinic_service.gateways.tokens import TokenVerifier, mint

SECRET = "a secret of the tests, at least 32 bytes long"


def minted(subject: str, *, minutes: int = 5, service: bool = False) -> str:
    return mint(SECRET, subject, service=service, lifetime=timedelta(minutes=minutes))


@pytest.fixture
def tokens() -> TokenVerifier:
    return TokenVerifier(KeyRing(SECRET))


def key(tokens: TokenVerifier, token: str | None = None, **environ: str) -> str:
    sent = {"HTTP_X_TIDEPOOL_SESSION_TOKEN": token} if token else {}
    return CallerKeys(tokens, proxies=1)({"REMOTE_ADDR": "192.0.2.1", **sent, **environ})


def test_a_token_that_was_checked_stands_for_its_caller(tokens: TokenVerifier) -> None:
    one, other = minted("a11ce00001"), minted("a11ce00001", minutes=6)
    for token in (one, other):
        tokens.caller(token)
    assert key(tokens, one) == key(tokens, other) == "person:a11ce00001"


def test_a_compound_token_stands_for_its_caller(tokens: TokenVerifier) -> None:
    token = minted("a11ce00001")
    tokens.caller(f"kc:{token}:refresh")
    assert key(tokens, f"kc:{token}:refresh") == key(tokens, token) == "person:a11ce00001"


def test_a_person_and_a_service_of_one_name_are_two(tokens: TokenVerifier) -> None:
    person, service = minted("a11ce00001"), minted("a11ce00001", service=True)
    for token in (person, service):
        tokens.caller(token)
    assert key(tokens, person) != key(tokens, service)


@pytest.mark.parametrize("token", ["forged", "kc:", "kc:forged", "kc:forged:refresh", "x" * 10_000])
def test_another_text_stands_for_nobody(tokens: TokenVerifier, token: str) -> None:
    assert key(tokens, token) == "192.0.2.1"


def test_without_a_token_the_address_counts(tokens: TokenVerifier) -> None:
    assert key(tokens) == "192.0.2.1"
    assert key(tokens, HTTP_X_FORWARDED_FOR="198.51.100.7") == "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "counted"),
    [
        ("192.0.2.1", None, 0, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", 0, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", 1, "198.51.100.7"),
        ("192.0.2.1", "203.0.113.9, 198.51.100.7", 1, "198.51.100.7"),
        ("192.0.2.1", "203.0.113.9,198.51.100.7 ,192.0.2.8", 2, "198.51.100.7"),
        ("192.0.2.1", "198.51.100.7", 2, "192.0.2.1"),
        ("192.0.2.1", None, 1, "192.0.2.1"),
        ("192.0.2.1", "unknown", 1, "192.0.2.1"),
        ("", None, 0, "unknown"),
        ("2001:db8:1:2:3::4", None, 0, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", None, 0, "2001:db8:1:2::/64"),
        ("2001:db8:1:3::4", None, 0, "2001:db8:1:3::/64"),
        ("fe80::1%eth0", None, 0, "fe80::/64"),
        ("::ffff:192.0.2.1", None, 0, "192.0.2.1"),
    ],
)
def test_an_address_is_the_one_that_the_last_trusted_proxy_saw(
    peer: str, forwarded: str | None, proxies: int, counted: str
) -> None:
    environ = {"REMOTE_ADDR": peer} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})
    assert client_address(environ, proxies) == counted
