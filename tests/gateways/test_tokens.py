"""Whose token this is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clinic_service import clock
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config, ConfigError
from clinic_service.errors import Unauthenticated
from clinic_service.gateways.session_keys import Jwks, KeyRing
from clinic_service.gateways.tokens import MAX_CACHED, TokenVerifier, mint
from tests.support.session_tokens import (
    IN_AN_HOUR,
    NOW,
    PERSON_ID,
    SECRET,
    ec_jwk,
    ec_key,
    key_set,
    rsa_jwk,
    rsa_key,
    token,
)

ALICE = Caller(PERSON_ID, CallerKind.PERSON)
UUID_ID = "0b5a1d2e-7a51-4a5c-9f4e-6d2c1b3a4f5e"


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(KeyRing(SECRET))


def _refused(verifier: TokenVerifier, text: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        verifier.caller(text)
    assert refusal.value.message == Unauthenticated.message


def test_minted_tokens_are_good_for_their_lifetime(verifier: TokenVerifier) -> None:
    person = mint(SECRET, PERSON_ID, service=False, lifetime=timedelta(hours=1))
    service = mint(SECRET, "task-runner", service=True, lifetime=timedelta(hours=1))
    assert verifier.caller(person) == ALICE
    assert verifier.caller(service) == Caller("task-runner", CallerKind.SERVICE)
    with clock.frozen(NOW + timedelta(hours=1, seconds=31)):
        _refused(verifier, person)


def test_minted_token_names_issuer_and_audience(verifier: TokenVerifier) -> None:
    strict = TokenVerifier(KeyRing(SECRET), issuer="https://id.example", audience="clinics")
    minted = mint(
        SECRET,
        PERSON_ID,
        service=False,
        lifetime=timedelta(hours=1),
        issuer="https://id.example",
        audience="clinics",
    )
    assert strict.caller(minted) == verifier.caller(minted) == ALICE


def test_compound_token_counts_by_its_middle(verifier: TokenVerifier) -> None:
    access = token()
    assert verifier.caller(f"kc:{access}:refresh") == ALICE


def test_refresh_token_is_kept_nowhere(verifier: TokenVerifier) -> None:
    verifier.caller(f"kc:{token()}:refresh-part")
    assert not any("refresh-part" in kept for kept in verifier._verified)


@pytest.mark.parametrize(
    "form", ["kc:{}", "kc:{}:", "kc::{}", "kc:{}:refresh:more", "kc:", "kc::", "KC:{}:refresh", "{}:x"]
)
def test_other_compounds_are_refused(verifier: TokenVerifier, form: str) -> None:
    _refused(verifier, form.format(token()))


@pytest.mark.parametrize(
    "text", ["", "x", "a.b", "a.b.c.d", "a..c", "a.b.", "é.b.c", "a b.c.d", ".." * 4000, "a.b.c\n"]
)
def test_text_that_is_no_token_is_refused(verifier: TokenVerifier, text: str) -> None:
    _refused(verifier, text)


def test_trailing_newline_is_refused(verifier: TokenVerifier) -> None:
    _refused(verifier, token() + "\n")


def test_largest_token_is_taken_and_a_larger_one_refused(verifier: TokenVerifier) -> None:
    sizes = {len(token(pad="x" * length)): token(pad="x" * length) for length in range(5900, 6100)}
    assert verifier.caller(sizes[max(size for size in sizes if size <= 8192)]) == ALICE
    _refused(verifier, sizes[min(size for size in sizes if size > 8192)])


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _forged(header: bytes, payload: bytes, key: bytes = SECRET.encode()) -> str:
    """A token with any header and payload, signed with HMAC-SHA-256."""
    signed = f"{_encoded(header)}.{_encoded(payload)}"
    return f"{signed}.{_encoded(hmac.digest(key, signed.encode(), hashlib.sha256))}"


PAYLOAD = json.dumps({"usr": PERSON_ID, "exp": IN_AN_HOUR}).encode()


def test_forging_helper_makes_good_tokens(verifier: TokenVerifier) -> None:
    assert verifier.caller(_forged(b'{"alg":"HS256"}', PAYLOAD)) == ALICE


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none"}',
        b'{"alg":"HS384"}',
        b'{"alg":"RS256"}',
        b'{"alg":["HS256"]}',
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 4000,
        b'{"alg":"HS256","kid":7}',
        b'{"alg":"HS256","kid":{}}',
        b'{"alg":"HS256","crit":["b64"],"b64":false}',
        b'{"alg":"HS256","crit":["unheard-of"]}',
        b'{"alg":"HS256","x":' + b"9" * 5000 + b"}",
    ],
)
def test_odd_headers_are_refused(verifier: TokenVerifier, header: bytes) -> None:
    _refused(verifier, _forged(header, PAYLOAD))


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"\xff", b"[" * 4000, b'{"exp":' + b"9" * 5000 + b"}"])
def test_odd_payloads_are_refused(verifier: TokenVerifier, payload: bytes) -> None:
    _refused(verifier, _forged(b'{"alg":"HS256"}', payload))


def test_signature_of_another_key_is_refused(verifier: TokenVerifier) -> None:
    _refused(verifier, token("another secret of at least 32 bytes"))


def test_changed_claims_are_refused(verifier: TokenVerifier) -> None:
    header, _, signature = token().split(".")
    _refused(verifier, f"{header}.{_encoded(PAYLOAD)}.{signature}")


@pytest.mark.parametrize(
    ("expiry", "good"),
    [(1, True), (-29, True), (-30, False), (-31, False), (10**18, True)],
    ids=["to come", "in the leeway", "leeway over", "past", "absurdly far"],
)
def test_expiry_has_thirty_seconds_of_leeway(verifier: TokenVerifier, expiry: int, good: bool) -> None:
    text = token(exp=int(NOW.timestamp()) + expiry)
    if good:
        assert verifier.caller(text) == ALICE
    else:
        _refused(verifier, text)


@pytest.mark.parametrize(("begin", "good"), [(-5, True), (30, True), (31, False)])
def test_begin_has_thirty_seconds_of_leeway(verifier: TokenVerifier, begin: int, good: bool) -> None:
    text = token(nbf=int(NOW.timestamp()) + begin)
    if good:
        assert verifier.caller(text) == ALICE
    else:
        _refused(verifier, text)


@pytest.mark.parametrize("changes", [{"exp": None}, {"exp": True}, {"exp": [IN_AN_HOUR]}, {"nbf": {}}, {"nbf": False}])
def test_times_that_are_no_numbers_are_refused(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    _refused(verifier, token(**changes))


@pytest.mark.parametrize("expiry", [b'"soon"', b"NaN", b"Infinity", b"-Infinity", b"1e400", b"null"])
def test_expiry_must_be_a_time(verifier: TokenVerifier, expiry: bytes) -> None:
    _refused(verifier, _forged(b'{"alg":"HS256"}', b'{"usr":"a11ce00001","exp":' + expiry + b"}"))


@pytest.mark.parametrize("begin", [b"NaN", b"-Infinity", b"-1e400"])
def test_the_begin_must_be_a_time(verifier: TokenVerifier, begin: bytes) -> None:
    _refused(verifier, _forged(b'{"alg":"HS256"}', b'{"usr":"a11ce00001","exp":%d,"nbf":%s}' % (IN_AN_HOUR, begin)))


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"usr": PERSON_ID, "sub": PERSON_ID}, PERSON_ID),
        ({"usr": None, "sub": UUID_ID}, UUID_ID),
        ({"usr": UUID_ID}, UUID_ID),
    ],
)
def test_subject(verifier: TokenVerifier, changes: dict[str, Any], subject: str) -> None:
    assert verifier.caller(token(**changes)).id == subject


@pytest.mark.parametrize(
    "changes",
    [
        {"usr": PERSON_ID, "sub": UUID_ID},
        {"usr": None},
        {"usr": ""},
        {"usr": "", "sub": PERSON_ID},
        {"usr": "task-runner"},
        {"usr": PERSON_ID.upper()},
        {"usr": PERSON_ID + "\n"},
        {"usr": UUID_ID.replace("-", "")},
    ],
)
def test_other_subjects_of_persons_are_refused(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    _refused(verifier, token(**changes))


@pytest.mark.parametrize("subject", [b"7", b"[]", b"null", b'"a\\u0000b"', b'"a\\ud800b"'])
def test_subject_must_be_text_that_can_be_stored(verifier: TokenVerifier, subject: bytes) -> None:
    payload = b'{"svr":"yes","exp":%d,"usr":%s}' % (IN_AN_HOUR, subject)
    _refused(verifier, _forged(b'{"alg":"HS256"}', payload))


@pytest.mark.parametrize(
    "changes",
    [
        {"svr": "yes"},
        {"realm_access": {"roles": ["a", "backend_service"]}},
        {"svr": "no", "realm_access": {"roles": ["backend_service"]}},
    ],
)
def test_service_is_who_has_the_mark_or_the_role(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    assert verifier.caller(token(usr="task-runner", **changes)) == Caller("task-runner", CallerKind.SERVICE)


@pytest.mark.parametrize(
    "changes",
    [
        {"svr": "YES"},
        {"svr": True},
        {"svr": None},
        {"realm_access": "backend_service"},
        {"realm_access": {"roles": "backend_service"}},
        {"realm_access": ["backend_service"]},
        {"roles": ["backend_service"]},
    ],
)
def test_nothing_else_makes_a_service(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    assert verifier.caller(token(**changes)) == ALICE


def test_identity_provider_is_kept(verifier: TokenVerifier) -> None:
    assert verifier.caller(token(identity_provider="harbour-sso")).identity_provider == "harbour-sso"
    assert verifier.caller(token(identity_provider=["x"])).identity_provider is None


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({"iss": "https://id.example", "aud": "clinics"}, True),
        ({"iss": "https://id.example", "aud": ["other", "clinics"]}, True),
        ({"iss": "https://id.example", "aud": "clinic"}, False),
        ({"iss": "https://id.example", "aud": []}, False),
        ({"iss": "https://id.example"}, False),
        ({"iss": "https://id.example/", "aud": "clinics"}, False),
        ({"aud": "clinics"}, False),
    ],
)
def test_issuer_and_audience_must_match_when_configured(changes: dict[str, Any], good: bool) -> None:
    strict = TokenVerifier(KeyRing(SECRET), issuer="https://id.example", audience="clinics")
    if good:
        assert strict.caller(token(**changes)) == ALICE
    else:
        _refused(strict, token(**changes))


def test_issuer_and_audience_are_free_when_not_configured(verifier: TokenVerifier) -> None:
    assert verifier.caller(token(iss="anybody", aud=["anything"])) == ALICE


def test_public_keys_verify_rs256_and_es256(tmp_path: Path) -> None:
    verifier = _of_file(tmp_path, rsa_jwk("one"), ec_jwk("two"))
    assert verifier.caller(token(rsa_key(), "RS256", "one")) == ALICE
    assert verifier.caller(token(ec_key(), "ES256", "two")) == ALICE
    _refused(verifier, token(rsa_key("other"), "RS256", "one"))
    _refused(verifier, token(rsa_key(), "RS256", "two"))


def _of_file(folder: Path, *entries: dict[str, Any]) -> TokenVerifier:
    file = folder / "keys.json"
    file.write_bytes(key_set(*entries))
    return TokenVerifier(KeyRing(None, Jwks(str(file))))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_other_algorithms_of_the_same_key_are_refused(tmp_path: Path, algorithm: str) -> None:
    _refused(_of_file(tmp_path, rsa_jwk("one")), token(rsa_key(), algorithm, "one"))


def test_public_key_is_no_secret(tmp_path: Path) -> None:
    verifier = _of_file(tmp_path, rsa_jwk("one"))
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _refused(verifier, _forged(b'{"alg":"HS256","kid":"one"}', PAYLOAD, public))
    _refused(verifier, _forged(b'{"alg":"HS256"}', PAYLOAD, public))


def test_good_token_is_believed_for_a_minute(tmp_path: Path) -> None:
    verifier = _of_file(tmp_path, rsa_jwk("one"))
    text = token(rsa_key(), "RS256", "one")
    assert verifier.caller(text) == ALICE
    with clock.frozen(NOW + timedelta(seconds=59)):
        _withdraw(tmp_path, verifier)
        assert verifier.caller(text) == ALICE
    with clock.frozen(NOW + timedelta(seconds=60)):
        _withdraw(tmp_path, verifier)
        _refused(verifier, text)


def test_good_token_is_not_believed_beyond_its_end(tmp_path: Path) -> None:
    verifier = _of_file(tmp_path, rsa_jwk("one"))
    text = token(rsa_key(), "RS256", "one", exp=int(NOW.timestamp()) + 10)
    assert verifier.caller(text) == ALICE
    _withdraw(tmp_path, verifier)
    with clock.frozen(NOW + timedelta(seconds=9)):
        assert verifier.caller(text) == ALICE
    with clock.frozen(NOW + timedelta(seconds=10)):
        _refused(verifier, text)


def _withdraw(folder: Path, verifier: TokenVerifier) -> None:
    """Replace the provider's keys, and let the verifier read them because a token names one that it lacks."""
    (folder / "keys.json").write_bytes(key_set(ec_jwk("two")))
    with clock.frozen(NOW + timedelta(minutes=2)):
        assert verifier.caller(token(ec_key(), "ES256", "two")) == ALICE


def test_believed_tokens_are_bounded(verifier: TokenVerifier) -> None:
    for number in range(MAX_CACHED + 1):
        verifier.caller(token(jti=str(number)))
    assert 0 < len(verifier._verified) <= MAX_CACHED


def test_threads_share_a_verifier(verifier: TokenVerifier) -> None:
    texts = [token(usr=f"{number:010x}") for number in range(200)]
    wrong: list[str] = []

    def check() -> None:
        for number, text in enumerate(texts):
            if verifier.caller(text).id != f"{number:010x}":
                wrong.append(text)

    threads = [threading.Thread(target=check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_configuration_chooses_the_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(rsa_jwk("one")))
    both = TokenVerifier.from_config(Config(session_secret=SECRET, session_jwks=str(file)))
    provider_only = TokenVerifier.from_config(Config(session_jwks=str(file)))
    signed_by_provider = token(rsa_key(), "RS256", "one")
    assert both.caller(token()) == both.caller(signed_by_provider) == provider_only.caller(signed_by_provider) == ALICE
    _refused(provider_only, token())


def test_configuration_without_keys_makes_a_secret(tmp_path: Path) -> None:
    config = Config(database_url=f"sqlite:///{tmp_path / 'data.db'}", session_issuer="me")
    verifier = TokenVerifier.from_config(config)
    secret = (tmp_path / "data.key").read_text().strip()
    assert verifier.caller(token(secret, iss="me")) == ALICE
    _refused(verifier, token(secret))


class TestTwoSecrets:
    """So that a secret can be replaced while tokens of both are in use."""

    OLD, NEW = "the old secret of these tests, long enough", "the new secret of these tests, long enough"

    def _minted(self, secret: str) -> str:
        return mint(secret, PERSON_ID, service=False, lifetime=timedelta(hours=1))

    def _verifier(self, **settings: str) -> TokenVerifier:
        return TokenVerifier.from_config(Config(**settings))  # type: ignore[arg-type]

    def test_both_are_accepted_and_no_other(self) -> None:
        verifier = self._verifier(session_secret=self.NEW, session_secret_also=self.OLD)
        assert verifier.caller(self._minted(self.NEW)) == ALICE
        assert verifier.caller(self._minted(self.OLD)) == ALICE
        _refused(verifier, self._minted(SECRET))

    def test_the_second_is_not_accepted_once_it_is_removed(self) -> None:
        _refused(self._verifier(session_secret=self.NEW), self._minted(self.OLD))

    def test_public_keys_are_checked_with_no_secret(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(key_set(rsa_jwk("one")))
        verifier = self._verifier(session_secret=self.NEW, session_secret_also=self.OLD, session_jwks=str(file))
        assert verifier.caller(token(rsa_key(), "RS256", key_id="one")) == ALICE
        _refused(verifier, token(rsa_key("another"), "RS256", key_id="one"))
        assert verifier.caller(self._minted(self.OLD)) == ALICE

    def test_the_second_alone_or_a_short_one_is_a_wrong_setting(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="CLINIC_SESSION_SECRET_ALSO must have"):
            self._verifier(session_secret=self.NEW, session_secret_also="short")
        file = tmp_path / "keys.json"
        file.write_bytes(key_set(rsa_jwk("one")))
        with pytest.raises(ConfigError, match="needs CLINIC_SESSION_SECRET"):
            self._verifier(session_secret_also=self.OLD, session_jwks=str(file))
