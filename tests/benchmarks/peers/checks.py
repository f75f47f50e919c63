"""The checks that all peers make: whose token it is, and the forms of ids."""

from __future__ import annotations

import time
from typing import NamedTuple

import jwt

CLINIC_ID = "^[a-f0-9]{24}$"
USER_ID = "^([0-9a-f]{10}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
EMAIL = r"""^[^@\s]+@[^@\s"',<>]+$"""
ROLES = ("CLINIC_ADMIN", "CLINIC_MEMBER", "PRESCRIBER")

_BELIEVED_SECONDS = 60


class Refusal(Exception):
    """The request is answered with `status`, a 4xx."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Caller(NamedTuple):
    """The person or service a token speaks for."""

    id: str
    is_service: bool


class Tokens:
    """Verifies tokens, and believes one for a minute at most, as clinic-service does."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._verified: dict[str, tuple[Caller, float]] = {}

    def caller(self, token: str | None) -> Caller:
        """Raises Refusal 401."""
        known = self._verified.get(token or "")
        if known is not None and time.time() < known[1]:
            return known[0]
        return self._verify(token or "")

    def _verify(self, token: str) -> Caller:
        try:
            claims = jwt.decode(token, self._secret, algorithms=["HS256"], options={"require": ["exp", "usr"]})
        except jwt.PyJWTError:
            raise Refusal(401) from None
        caller = Caller(claims["usr"], claims.get("svr") == "yes")
        self._verified[token] = (caller, min(time.time() + _BELIEVED_SECONDS, claims["exp"]))
        return caller
