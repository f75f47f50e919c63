"""Keys and tokens of an imagined identity provider."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

SECRET = "a shared secret of at least 32 bytes"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
IN_AN_HOUR = int(NOW.timestamp()) + 3600
PERSON_ID = "a11ce00001"


@cache
def _made_rsa_key(_name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def _made_ec_key(_name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The private RSA key called `name`; made once, since that takes a while."""
    return _made_rsa_key(name, bits)


def ec_key(name: str = "first") -> ec.EllipticCurvePrivateKey:
    """The private P-256 key called `name`."""
    return _made_ec_key(name)


def rsa_jwk(key_id: str | None, name: str = "first", **members: Any) -> dict[str, Any]:
    """The public half of an RSA key as an entry of a key set."""
    return _entry(RSAAlgorithm.to_jwk(rsa_key(name).public_key(), as_dict=True), key_id, members)


def ec_jwk(key_id: str | None, name: str = "first", **members: Any) -> dict[str, Any]:
    """The public half of a P-256 key as an entry of a key set."""
    return _entry(ECAlgorithm.to_jwk(ec_key(name).public_key(), as_dict=True), key_id, members)


def _entry(jwk: dict[str, Any], key_id: str | None, members: dict[str, Any]) -> dict[str, Any]:
    named = {} if key_id is None else {"kid": key_id}
    return {"kty": jwk["kty"]} | {n: v for n, v in jwk.items() if n != "key_ops"} | named | members


def key_set(*entries: Any) -> bytes:
    """A JSON Web Key Set."""
    return orjson.dumps({"keys": list(entries)})


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a person's token that is good for an hour; a claim set to None is left out."""
    values = {"usr": PERSON_ID, "svr": "no", "exp": IN_AN_HOUR} | changes
    return {name: value for name, value in values.items() if value is not None}


def token(key: Any = SECRET, algorithm: str = "HS256", key_id: str | None = None, **changes: Any) -> str:
    """A signed token with these claims."""
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)
