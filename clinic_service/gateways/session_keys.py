"""The keys for checking tokens: the shared secrets, and the public keys of an identity provider.

The first secret (CLINIC_SESSION_SECRET) also signs the tokens of this server. The second (CLINIC_SESSION_SECRET_ALSO) only
checks tokens while a secret is replaced: see *Rotate secrets* in the README. Each key has one algorithm. A token with
another algorithm is refused, so that a public key cannot be used as a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import orjson

from clinic_service import clock
from clinic_service.config import ConfigError
from clinic_service.errors import BadGateway, ServiceError, Unauthenticated, Unavailable
from clinic_service.gateways import http
from clinic_service.gateways.single_flight import SingleFlight

# The minimum time between two reads of the source: when there are keys, and when there are none.
REFRESH_PAUSE = timedelta(seconds=60)
RETRY_PAUSE = timedelta(seconds=5)
_MIN_RSA_BITS = 2048
_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
# The members of public keys. Members of private keys are not loaded.
_PUBLIC_MEMBERS = ("kty", "n", "e", "crv", "x", "y")


class KeysUnreachable(Unavailable):
    """The public keys cannot be fetched, so it is not known whether the token is valid."""

    message = "Session tokens cannot be checked just now."


@dataclass(frozen=True, slots=True)
class SessionKey:
    """A key, its id in tokens (`kid`; None for a key without one), and its algorithm."""

    id: str | None
    algorithm: str
    material: Any = field(repr=False)


class KeyRing:
    """All keys: at most two shared secrets, and the public keys of `jwks`."""

    def __init__(self, secret: str | None, jwks: Jwks | None = None, *, also: str | None = None) -> None:
        """A token is valid with `secret` or `also`, so that a secret can be replaced while both are in use."""
        self._secret = () if secret is None else (SessionKey(None, "HS256", secret.encode()),)
        self._also = None if also is None else SessionKey(None, "HS256", also.encode())
        self._jwks = jwks

    def other_secret(self, key: SessionKey) -> SessionKey | None:
        """The secret that a token may be signed with if it is not signed with the secret `key`; None when there is none."""
        return self._also if key in self._secret else None

    def find(self, key_id: str | None) -> SessionKey:
        """The key for a token with this `kid` (None for a token without one); of two secrets the first.

        Raises Unauthenticated when there is no such key, and KeysUnreachable when the keys cannot be fetched.
        """
        key = _named(self._keys(), key_id)
        if key is None and self._jwks and (key_id is not None or not self._jwks.keys):
            self._jwks.refresh()
            key = _named(self._keys(), key_id)
        key = key or _only(self._keys(), key_id)
        if key is None:
            raise Unauthenticated
        return key

    def _keys(self) -> tuple[SessionKey, ...]:
        return self._secret + (self._jwks.keys if self._jwks else ())


def _named(keys: Sequence[SessionKey], key_id: str | None) -> SessionKey | None:
    matches = [key for key in keys if key.id == key_id]
    return matches[0] if len(matches) == 1 else None


def _only(keys: Sequence[SessionKey], key_id: str | None) -> SessionKey | None:
    """The only key, if there is one, and token and key do not have different ids."""
    return keys[0] if len(keys) == 1 and (key_id is None or keys[0].id is None) else None


class Jwks:
    """The public keys in the file or at the URL `source`.

    A file is read at once, a URL at the first token. Because keys change while the server runs, the source is read again,
    at most once a minute, when a token names an unknown key. Raises ConfigError for a source that cannot be used; `setting`
    is the name of its environment variable.
    """

    def __init__(
        self, source: str, *, setting: str = "CLINIC_SESSION_JWKS", seconds: float = http.DEFAULT_SECONDS
    ) -> None:
        self.keys: tuple[SessionKey, ...] = ()
        self._source = source
        self._setting = setting
        self._seconds = seconds
        self._refreshing = SingleFlight[None]()
        self._tried: datetime | None = None
        self._failed = False
        if "://" not in source:
            self._read_first_time()
        elif not http.is_http_url(source):
            raise ConfigError(f"{setting} must be a file or an http(s) URL.")

    def refresh(self) -> None:
        """Read the source again, except when it was read very recently.

        Raises KeysUnreachable when the last read failed, and DeadlineExceeded when the time for the request is over.
        """
        self._refreshing.do(self._refresh)

    def _refresh(self) -> None:
        if self._is_due(clock.now()):
            self._try_to_load()
        if self._failed:
            raise KeysUnreachable

    def _is_due(self, now: datetime) -> bool:
        if self._tried is None:
            return True
        pause = REFRESH_PAUSE if self.keys else RETRY_PAUSE
        return not timedelta(0) <= now - self._tried < pause

    def _try_to_load(self) -> None:
        self._tried = clock.now()
        try:
            self.keys = self._load()
            self._failed = False
        except (OSError, ServiceError):
            self._failed = True

    def _read_first_time(self) -> None:
        self._try_to_load()
        if self._failed:
            raise ConfigError(f"{self._setting} names a file that cannot be read or holds no key for RS256 or ES256.")

    def _load(self) -> tuple[SessionKey, ...]:
        """The usable keys of the source. Raises OSError or ServiceError when there are none."""
        keys = usable_keys(self._content())
        if not keys:
            raise BadGateway
        return keys

    def _content(self) -> bytes:
        if "://" not in self._source:
            return Path(self._source).read_bytes()
        reply = http.exchange("GET", self._source, headers={"accept": "application/json"}, seconds=self._seconds)
        if reply.status != 200:
            raise BadGateway
        return reply.body


def usable_keys(content: bytes) -> tuple[SessionKey, ...]:
    """The keys of the JSON Web Key Set `content` that can check a session token. Other keys are ignored."""
    try:
        entries = orjson.loads(content)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ()
    found = [_session_key(entry) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return tuple(key for key in found if key is not None)


def _session_key(entry: dict[str, Any]) -> SessionKey | None:
    algorithm = _ALGORITHMS.get(str(entry.get("kty")))
    key_id = entry.get("kid")
    fits = entry.get("use", "sig") == "sig" and entry.get("alg", algorithm) == algorithm
    if algorithm is None or not fits or not (key_id is None or isinstance(key_id, str)):
        return None
    if algorithm == "ES256" and entry.get("crv") != "P-256":
        return None
    public = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    try:
        material = jwt.PyJWK(public, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    too_short = algorithm == "RS256" and material.key_size < _MIN_RSA_BITS
    return None if too_short else SessionKey(key_id, algorithm, material)
