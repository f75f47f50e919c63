"""Who a session token speaks for: every form that is taken, every way to be refused, and that refusals look alike."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from tests.conftest import SECRET
from tests.support.cast import ALICE
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
from tests.support.small import operation, small_app

HEADER = "X-Tidepool-Session-Token"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER, AUDIENCE = "https://identity.example/realms/clinic", "clinic-service"

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def who_am_i(ctx: Context) -> Any:
    return {"id": ctx.caller.id, "kind": ctx.caller.kind, "provider": ctx.caller.identity_provider}


PATHS = {"/me": {"get": operation("WhoAmI")}}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Empty: nothing but the token decides here."""
    url = f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'empty.db'}"
    upgrade(url)
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture(scope="module")
def secret_api(database: Database) -> Client:
    """A server with a shared secret."""
    return Client(small_app(database, Config(session_secret=SECRET), PATHS, who_am_i), SECRET)


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa-1", "use": "sig"},
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": "ec-1", "alg": "ES256"},
    ]
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    return file


@pytest.fixture(scope="module")
def keys_api(database: Database, keys_file: Path) -> Client:
    """A server with the public keys of an identity provider, which names itself and its audience."""
    config = Config(session_jwks=str(keys_file), session_issuer=ISSUER, session_audience=AUDIENCE)
    return Client(small_app(database, config, PATHS, who_am_i), SECRET)


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a person's token that is good for an hour; a change to None leaves a claim out."""
    made = {"usr": ALICE.id, "sub": ALICE.id, "svr": "no", "iat": SECONDS, "exp": SECONDS + 3600, **changes}
    return {name: value for name, value in made.items() if value is not None}


def access_claims(**changes: Any) -> dict[str, Any]:
    """Those of an identity provider's access token."""
    return claims(usr=None, svr=None, **{"iss": ISSUER, "aud": AUDIENCE, **changes})


def signed(content: dict[str, Any], secret: str = SECRET, **headers: Any) -> str:
    return jwt.encode(content, secret, algorithm="HS256", headers=headers)


def rs256(content: dict[str, Any], key: rsa.RSAPrivateKey = RSA_KEY, kid: str | None = "rsa-1") -> str:
    return jwt.encode(content, key, algorithm="RS256", headers={"kid": kid} if kid else None)


def es256(content: dict[str, Any], kid: str = "ec-1") -> str:
    return jwt.encode(content, EC_KEY, algorithm="ES256", headers={"kid": kid})


def part(value: Any) -> str:
    """One part of a token that no library would make."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def ask(api: Client, token: str | None, at: datetime = NOW, **rest: Any) -> Reply:
    headers = {HEADER: token} if token is not None else {}
    with clock.frozen(at):
        return api.get("/me", headers=headers | rest.pop("headers", {}), **rest)


def assert_refused(reply: Reply) -> None:
    """Refused in the one way in which every bad token is."""
    assert_error(reply, 401)
    assert reply.json["message"] == "The session token is missing or not valid."
    assert reply.headers["WWW-Authenticate"].startswith("ApiKey ")


SERVICE_ROLE = {"realm_access": {"roles": ["offline_access", "backend_service"]}}
UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

GOOD: dict[str, tuple[Callable[[], str], str, str]] = {
    "person, older form": (lambda: signed(claims()), ALICE.id, "person"),
    "person by a UUID": (lambda: signed(claims(usr=UUID, sub=UUID)), UUID, "person"),
    "person, usr alone": (lambda: signed(claims(sub=None)), ALICE.id, "person"),
    "person, sub alone": (lambda: signed(claims(usr=None, svr=None)), ALICE.id, "person"),
    "service, older form": (lambda: signed(claims(usr="tasks", sub="tasks", svr="yes")), "tasks", "service"),
    "service by role": (lambda: signed(claims(usr=None, sub="tasks", svr=None, **SERVICE_ROLE)), "tasks", "service"),
    "compound": (lambda: f"kc:{signed(claims())}:refresh.part.here", ALICE.id, "person"),
    "expired within the leeway": (lambda: signed(claims(exp=SECONDS - 29)), ALICE.id, "person"),
    "begins within the leeway": (lambda: signed(claims(nbf=SECONDS + 30)), ALICE.id, "person"),
    "end as a fraction": (lambda: signed(claims(exp=SECONDS + 0.5)), ALICE.id, "person"),
    "kid of an unnamed secret": (lambda: signed(claims(), kid="whatever"), ALICE.id, "person"),
    "issuer and audience that nobody asked for": (lambda: signed(claims(iss="x", aud="y")), ALICE.id, "person"),
    "service mark that is not the word yes": (lambda: signed(claims(svr="true")), ALICE.id, "person"),
    "other roles": (lambda: signed(claims(realm_access={"roles": ["backend_services"]})), ALICE.id, "person"),
    "just short enough": (lambda: padded_to(8 * 1024), ALICE.id, "person"),
}


def padded_to(length: int) -> str:
    """A good token of about this many characters, never more."""
    padding = (length - len(signed(claims(pad="")))) * 3 // 4 - 2
    return signed(claims(pad="x" * padding))


BAD: dict[str, Callable[[], str | None]] = {
    "none": lambda: None,
    "empty": lambda: "",
    "two headers": lambda: f"{signed(claims())},{signed(claims())}",
    "two headers, the first compound": lambda: f"kc:{signed(claims())}:refresh, {signed(claims())}",
    "two headers, both compound": lambda: f"kc:{signed(claims())}:r,kc:{signed(claims())}:r",
    "compound of two parts": lambda: f"kc:{signed(claims())}",
    "compound of four parts": lambda: f"kc:{signed(claims())}:refresh:more",
    "compound with an empty access token": lambda: "kc::refresh",
    "compound with an empty refresh token": lambda: f"kc:{signed(claims())}:",
    "compound in another case": lambda: f"KC:{signed(claims())}:refresh",
    "compound within compound": lambda: f"kc:kc:{signed(claims())}",
    "with a scheme": lambda: f"Bearer {signed(claims())}",
    "no token at all": lambda: "let me in",
    "two parts": lambda: signed(claims()).rpartition(".")[0],
    "four parts": lambda: signed(claims()) + ".x",
    "padded parts": lambda: signed(claims()) + "=",
    "parts that are no base64url": lambda: "a+b.c/d.e",
    "parts that are no JSON": lambda: f"{part('x')}.{part('y')}.{part('z')}",
    "header that is no object": lambda: f"{part([1])}.{part(claims())}.{part('z')}",
    "header nested deeply": lambda: f"{part('[' * 3000)}.{part(claims())}.{part('z')}",
    "claims that are no object": lambda: jwt.api_jws.encode(b"[1]", SECRET, algorithm="HS256"),
    "too long": lambda: padded_to(9 * 1024),
    "other secret": lambda: signed(claims(), "another secret, which also has 32 bytes"),
    "tampered claims": lambda: tampered(usr="0ther00000"),
    "tampered signature": lambda: signed(claims())[:-4] + "AAAA",
    "without signature": lambda: signed(claims()).rpartition(".")[0] + ".",
    "algorithm none": lambda: jwt.encode(claims(), "", algorithm="none"),
    "algorithm none and a signature": lambda: f"{part({'alg': 'none'})}.{part(claims())}.{part('z')}",
    "algorithm of another family": lambda: rs256(claims(), kid=None),
    "longer hash of the same family": lambda: jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
    "expired": lambda: signed(claims(exp=SECONDS - 31)),
    "just expired, leeway included": lambda: signed(claims(exp=SECONDS - 30)),
    "without an end": lambda: signed(claims(exp=None)),
    "end that is text": lambda: with_raw_claims(exp="2030-01-01"),
    "end that is true": lambda: with_raw_claims(exp=True),
    "end that is no number": lambda: with_raw_claims(exp=float("nan")),
    "not yet begun": lambda: signed(claims(nbf=SECONDS + 31)),
    "usr and sub disagree": lambda: signed(claims(sub="b0b0000002")),
    "usr empty beside a good sub": lambda: signed(claims(usr="")),
    "usr null beside a good sub": lambda: with_raw_claims(usr=None),
    "usr is a number": lambda: with_raw_claims(usr=1234567890, sub=1234567890),
    "no subject": lambda: signed(claims(usr=None, sub=None)),
    "person whose subject is a name": lambda: signed(claims(usr="alice", sub="alice")),
    "person whose subject has capitals": lambda: signed(claims(usr=UUID.upper(), sub=UUID.upper())),
    "person whose subject ends in a newline": lambda: signed(claims(usr=f"{ALICE.id}\n", sub=f"{ALICE.id}\n")),
    "service without a name": lambda: signed(claims(usr="", sub="", svr="yes")),
}


def tampered(**changes: Any) -> str:
    header, _, signature = signed(claims()).split(".")
    return f"{header}.{part(claims(**changes))}.{signature}"


def with_raw_claims(**changes: Any) -> str:
    """Signed claims that the library itself would refuse to write."""
    return jwt.api_jws.encode(json.dumps(claims() | changes).encode(), SECRET, algorithm="HS256")


@pytest.mark.parametrize("form", GOOD)
def test_forms_that_are_taken(secret_api: Client, form: str) -> None:
    make, caller, kind = GOOD[form]
    reply = ask(secret_api, make())
    assert reply.status == 200
    assert (reply.json["id"], reply.json["kind"]) == (caller, kind)


@pytest.mark.parametrize("form", BAD)
def test_forms_that_are_refused(secret_api: Client, form: str) -> None:
    assert_refused(ask(secret_api, BAD[form]()))


def test_refusals_do_not_tell_what_is_wrong(secret_api: Client) -> None:
    bodies = set()
    for make in BAD.values():
        body = ask(secret_api, make()).json
        body.pop("instance")
        bodies.add(json.dumps(body))
    assert len(bodies) == 1


def test_length_is_limited_to_8_kib(secret_api: Client) -> None:
    longest = padded_to(8 * 1024)
    assert 8 * 1024 - 4 <= len(longest) <= 8 * 1024
    assert ask(secret_api, longest).status == 200
    assert_refused(ask(secret_api, padded_to(8 * 1024 + 8)))


@pytest.mark.parametrize("where", ["authorization", "cookie", "query", "other header"])
def test_tokens_elsewhere_are_not_looked_at(secret_api: Client, where: str) -> None:
    token = signed(claims())
    headers = {
        "authorization": {"Authorization": f"Bearer {token}"},
        "cookie": {"Cookie": f"{HEADER}={token}"},
        "other header": {"X-Tidepool-Server-Token": token},
    }
    query = {HEADER.lower(): token} if where == "query" else None
    assert_refused(ask(secret_api, None, headers=headers.get(where, {}), query_string=query))


def test_no_header_makes_a_service(secret_api: Client) -> None:
    headers = {"X-Tidepool-Server-Name": "tasks", "X-Tidepool-Server-Secret": SECRET, "Server": "yes"}
    assert ask(secret_api, signed(claims()), headers=headers).json["kind"] == "person"


def test_identity_provider_is_known(secret_api: Client) -> None:
    assert ask(secret_api, signed(claims(identity_provider="hospital-sso"))).json["provider"] == "hospital-sso"
    assert ask(secret_api, signed(claims(identity_provider=["x"]))).json["provider"] is None


def hs256_with_public_key() -> str:
    """The classic confusion of algorithms: the public key, which everybody has, as the secret of HS256."""
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    content = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa-1'})}.{part(access_claims())}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    made = base64.urlsafe_b64encode(signature.sign(content.encode(), pem)).rstrip(b"=").decode()
    return f"{content}.{made}"


def rs256_with_own_key() -> str:
    """Signed with a key of the sender's choice, which the header offers for checking."""
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_RSA_KEY.public_key()))
    return jwt.encode(access_claims(), OTHER_RSA_KEY, "RS256", headers={"kid": "rsa-1", "jwk": own})


KEYS_GOOD: dict[str, tuple[Callable[[], str], str, str]] = {
    "RS256": (lambda: rs256(access_claims()), ALICE.id, "person"),
    "ES256": (lambda: es256(access_claims()), ALICE.id, "person"),
    "RS256, compound": (lambda: f"kc:{rs256(access_claims())}:refresh", ALICE.id, "person"),
    "RS256, service": (lambda: rs256(access_claims(sub="tasks", **SERVICE_ROLE)), "tasks", "service"),
    "one of several audiences": (lambda: rs256(access_claims(aud=["account", AUDIENCE])), ALICE.id, "person"),
}
KEYS_BAD: dict[str, Callable[[], str]] = {
    "unknown kid": lambda: rs256(access_claims(), kid="rsa-2"),
    "no kid among several keys": lambda: rs256(access_claims(), kid=None),
    "signed by another key": lambda: rs256(access_claims(), OTHER_RSA_KEY),
    "kid of a key of the other kind": lambda: rs256(access_claims(), kid="ec-1"),
    "public key used as a secret": hs256_with_public_key,
    "shared secret that is not configured": lambda: signed(access_claims()),
    "stronger hash than configured": lambda: jwt.encode(access_claims(), RSA_KEY, "RS512", headers={"kid": "rsa-1"}),
    "other padding than configured": lambda: jwt.encode(access_claims(), RSA_KEY, "PS256", headers={"kid": "rsa-1"}),
    "key sent along": rs256_with_own_key,
    "other issuer": lambda: rs256(access_claims(iss="https://elsewhere.example")),
    "issuer with a slash": lambda: rs256(access_claims(iss=ISSUER + "/")),
    "no issuer": lambda: rs256(access_claims(iss=None)),
    "other audience": lambda: es256(access_claims(aud="account")),
    "no audience among several": lambda: es256(access_claims(aud=["account", "broker"])),
    "no audience": lambda: es256(access_claims(aud=None)),
    "expired": lambda: es256(access_claims(exp=SECONDS - 31)),
    "not yet begun": lambda: es256(access_claims(nbf=SECONDS + 31)),
}


@pytest.mark.parametrize("form", KEYS_GOOD)
def test_public_keys_forms_that_are_taken(keys_api: Client, form: str) -> None:
    make, caller, kind = KEYS_GOOD[form]
    reply = ask(keys_api, make())
    assert reply.status == 200
    assert (reply.json["id"], reply.json["kind"]) == (caller, kind)


@pytest.mark.parametrize("form", KEYS_BAD)
def test_public_keys_forms_that_are_refused(keys_api: Client, form: str) -> None:
    assert_refused(ask(keys_api, KEYS_BAD[form]()))


def test_secret_and_public_keys_may_be_in_force_together(database: Database, keys_file: Path) -> None:
    config = Config(session_secret=SECRET, session_jwks=str(keys_file))
    api = Client(small_app(database, config, PATHS, who_am_i), SECRET)
    assert ask(api, signed(claims())).status == 200
    assert ask(api, rs256(access_claims())).status == 200
    assert_refused(ask(api, signed(claims(), kid="rsa-1")))
    assert_refused(ask(api, hs256_with_public_key()))


def test_a_token_is_never_believed_past_its_end(secret_api: Client) -> None:
    token = signed(claims(exp=SECONDS + 10))
    assert ask(secret_api, token).status == 200
    assert ask(secret_api, token, at=NOW + timedelta(seconds=39)).status == 200
    assert_refused(ask(secret_api, token, at=NOW + timedelta(seconds=40)))


def test_a_token_is_not_believed_before_its_time_when_the_clock_was_wrong(secret_api: Client) -> None:
    token = signed(claims(nbf=SECONDS))
    assert ask(secret_api, token).status == 200
    assert_refused(ask(secret_api, token, at=NOW - timedelta(seconds=31)))


def test_the_real_clock_is_used(secret_api: Client) -> None:
    token = signed(claims(exp=int(time.time()) + 60))
    assert secret_api.get("/me", headers={HEADER: token}).status == 200
    assert_refused(secret_api.get("/me", headers={HEADER: signed(claims(exp=int(time.time()) - 60))}))


def test_tokens_do_not_get_into_the_log(
    secret_api: Client, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    token = signed(claims())
    ask(secret_api, f"kc:{token}:REFRESH")
    ask(secret_api, f"kc:{token}:REFRESH:REFRESH")
    written = capsys.readouterr()
    assert written.err.count("\n") == 2
    for secret in ("REFRESH", *token.split(".")):
        assert secret not in written.out + written.err + caplog.text
