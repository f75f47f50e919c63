"""The checks of signed tokens (JWT): signature, time, issuer and audience."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jwt

from clinic_service.errors import Unauthenticated
from clinic_service.gateways.session_keys import KeyRing, SessionKey

MAX_TOKEN_BYTES = 8 * 1024
_LEEWAY_SECONDS = 30
_THREE_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# The library checks only the signature. The claims are checked here, with the clock of this program.
_SIGNATURE_ONLY: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


def signed_claims(token: str, keys: KeyRing) -> dict[str, Any]:
    """The claims of `token`, after a check of its signature. The claims themselves are not checked.

    Raises Unauthenticated unless one of `keys` signed it with the algorithm of that key, and Unavailable when the keys
    cannot be fetched.
    """
    if len(token) > MAX_TOKEN_BYTES or not _THREE_PARTS.fullmatch(token):
        raise Unauthenticated
    try:
        key = keys.find(jwt.get_unverified_header(token).get("kid"))
        try:
            return _decoded(token, key)
        except jwt.InvalidSignatureError:
            other = keys.other_secret(key)
            if other is None:
                raise
            return _decoded(token, other)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthenticated from None


def _decoded(token: str, key: SessionKey) -> dict[str, Any]:
    return jwt.decode(token, key.material, algorithms=[key.algorithm], options=_SIGNATURE_ONLY)


def require_time_between(claims: Mapping[str, Any], now: datetime) -> float:
    """The expiry of the token in seconds since 1970.

    Raises Unauthenticated when the token is expired or not valid yet, with a leeway of 30 seconds.
    """
    expiry = _seconds(claims.get("exp"))
    begin = _seconds(claims.get("nbf", 0))
    present = now.timestamp()
    if not begin - _LEEWAY_SECONDS <= present < expiry + _LEEWAY_SECONDS:
        raise Unauthenticated
    return expiry


def require_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    """Raise Unauthenticated unless the token was issued by `issuer`."""
    if claims.get("iss") != issuer:
        raise Unauthenticated


def require_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Raise Unauthenticated unless `audience` is the audience of the token, or one of several."""
    named = claims.get("aud")
    if audience not in (named if isinstance(named, list) else [named]):
        raise Unauthenticated


def _seconds(claim: Any) -> float:
    if isinstance(claim, bool) or not isinstance(claim, int | float):
        raise Unauthenticated
    if isinstance(claim, float) and not math.isfinite(claim):
        raise Unauthenticated
    # The bounds are beyond any date, and small enough for arithmetic.
    return float(max(min(claim, 1e12), -1e12))
