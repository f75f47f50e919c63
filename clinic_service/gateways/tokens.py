"""Session tokens: finds the caller of a token, and mints tokens for servers without an identity provider.

The signature is checked here, without a call to another system. The result is cached for at most a minute, and never longer
than the token is valid.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import jwt

from clinic_service import clock
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config
from clinic_service.errors import Unauthenticated
from clinic_service.gateways.secret_file import second_secret, session_secret
from clinic_service.gateways.session_keys import Jwks, KeyRing
from clinic_service.gateways.signed_tokens import require_audience, require_issuer, require_time_between, signed_claims
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.texts import is_storable

__all__ = ["TokenVerifier", "mint", "session_secret"]

# The header that has the token, by its name in a WSGI environment.
TOKEN_HEADER = "HTTP_X_TIDEPOOL_SESSION_TOKEN"
MAX_CACHED = 4096
CACHED_FOR = timedelta(seconds=60)
_SERVICE_ROLE = "backend_service"
_COMPOUND_PREFIX = "kc:"


class _Verified(NamedTuple):
    """A caller, and the time span in which the token does not have to be checked again."""

    caller: Caller
    since: datetime
    until: datetime


class TokenVerifier:
    """Finds the caller of a session token. Safe to share between threads."""

    def __init__(self, keys: KeyRing, *, issuer: str | None = None, audience: str | None = None) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._verified: dict[str, _Verified] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_config(cls, config: Config) -> TokenVerifier:
        """The verifier for `config`. Raises ConfigError when its keys cannot be used."""
        jwks = Jwks(config.session_jwks) if config.session_jwks else None
        secret = session_secret(config) if config.session_secret or jwks is None else None
        return cls(
            KeyRing(secret, jwks, also=second_secret(config)),
            issuer=config.session_issuer,
            audience=config.session_audience,
        )

    def caller(self, token: str) -> Caller:
        """The caller of `token`.

        Raises Unauthenticated for an invalid token, and Unavailable when the keys to check it cannot be fetched.
        """
        if token.startswith(_COMPOUND_PREFIX):
            token = _access_part(token)
        now = clock.now()
        known = self._verified.get(token)
        if known is not None and known.since <= now < known.until:
            return known.caller
        return self._verify(token, now)

    def last_caller(self, token: str) -> Caller | None:
        """The caller of a token when it was last valid, which it need not be any more; None when that is not known."""
        if token.startswith(_COMPOUND_PREFIX):
            token = token.split(":")[1]
        known = self._verified.get(token)
        return known.caller if known else None

    def _verify(self, token: str, now: datetime) -> Caller:
        claims = signed_claims(token, self._keys)
        expiry = require_time_between(claims, now)
        if self._issuer is not None:
            require_issuer(claims, self._issuer)
        if self._audience is not None:
            require_audience(claims, self._audience)
        caller = _caller(claims)
        cached_until = min(now.timestamp() + CACHED_FOR.total_seconds(), expiry)
        self._remember(token, _Verified(caller, now, datetime.fromtimestamp(cached_until, now.tzinfo)))
        return caller

    def _remember(self, token: str, verified: _Verified) -> None:
        with self._lock:
            if len(self._verified) >= MAX_CACHED:
                # The older half is removed. Most of it is older than a minute.
                for oldest in list(islice(self._verified, MAX_CACHED // 2)):
                    del self._verified[oldest]
            self._verified.pop(token, None)
            self._verified[token] = verified


def mint(
    secret: str,
    subject: str,
    *,
    service: bool,
    lifetime: timedelta,
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """A token for the person or service `subject`, valid for `lifetime` from now, signed with the shared `secret`."""
    issued = clock.now()
    claims = {
        "usr": subject,
        "sub": subject,
        "svr": "yes" if service else "no",
        "dur": int(lifetime.total_seconds()),
        "iat": int(issued.timestamp()),
        "exp": int((issued + lifetime).timestamp()),
    }
    named = {"iss": issuer, "aud": audience}
    return jwt.encode(claims | {name: value for name, value in named.items() if value}, secret, algorithm="HS256")


def _access_part(compound: str) -> str:
    """The access token in a compound token. The refresh token is dropped and stored nowhere."""
    parts = compound.split(":")
    if len(parts) != 3 or not (parts[1] and parts[2]):
        raise Unauthenticated
    return parts[1]


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject = _subject(claims)
    kind = CallerKind.SERVICE if _is_service(claims) else CallerKind.PERSON
    if kind is CallerKind.PERSON and not is_user_id(subject):
        raise Unauthenticated
    provider = claims.get("identity_provider")
    return Caller(subject, kind, provider if isinstance(provider, str) and provider else None)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["usr"] if "usr" in claims else claims.get("sub")
    if not isinstance(subject, str) or not subject or not is_storable(subject):
        raise Unauthenticated
    if claims.get("sub", subject) != subject:
        raise Unauthenticated
    return subject


def _is_service(claims: Mapping[str, Any]) -> bool:
    """Whether the caller is a service: by the older claim `svr`, or by its role."""
    access = claims.get("realm_access")
    roles = access.get("roles") if isinstance(access, dict) else None
    return claims.get("svr") == "yes" or (isinstance(roles, list) and _SERVICE_ROLE in roles)
