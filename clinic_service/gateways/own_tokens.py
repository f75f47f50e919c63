"""Tokens with which this server calls other systems. They are fetched when needed, and kept until expiry or refusal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from clinic_service import clock
from clinic_service.gateways.http import Reply
from clinic_service.gateways.single_flight import SingleFlight

# A token is not used during this time before its expiry, because a call takes time and clocks differ.
EARLY = timedelta(seconds=30)


class IssuedToken(NamedTuple):
    """A token and the time at which it expires; None when the time is not known."""

    text: str
    expires: datetime | None = None


class OwnToken:
    """A token that `fetch` gets. Safe to share between threads: one thread fetches, and the others wait for its result."""

    def __init__(self, fetch: Callable[[], IssuedToken], *, early: timedelta = EARLY) -> None:
        """`early`: the time before its expiry at which the token is no longer used."""
        self._fetch = fetch
        self._early = early
        self._kept: IssuedToken | None = None
        self._fetching = SingleFlight[str]()

    def call(self, send: Callable[[str], Reply]) -> Reply:
        """The reply to `send`, which is called with the token. After a 401 it is called once more, with a new token.

        Raises what `send` and `fetch` raise.
        """
        token = self._other_than(None)
        reply = send(token)
        return send(self._other_than(token)) if reply.status == 401 else reply

    def _other_than(self, refused: str | None) -> str:
        """A valid token other than `refused`. When several threads had the same refused token, only the first fetches."""
        return self._usable(refused) or self._fetching.do(lambda: self._renew(refused))

    def _usable(self, refused: str | None) -> str | None:
        kept = self._kept
        if kept is None or kept.text == refused:
            return None
        is_in_force = kept.expires is None or clock.now() < kept.expires - self._early
        return kept.text if is_in_force else None

    def _renew(self, refused: str | None) -> str:
        # Another thread may have renewed the token just before.
        token = self._usable(refused)
        if token is None:
            self._kept = None
            self._kept = self._fetch()
            token = self._kept.text
        return token
