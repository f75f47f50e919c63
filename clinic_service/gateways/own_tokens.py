"""Tokens with which this server calls other systems: fetched when first needed, kept until they expire or are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from clinic_service import clock
from clinic_service.gateways.http import Reply
from clinic_service.gateways.single_flight import SingleFlight

# A token is no longer used so long before it expires, because a call takes time and clocks differ.
EARLY = timedelta(seconds=30)


class IssuedToken(NamedTuple):
    """A token and the time at which it expires; None when that is not known."""

    text: str
    expires: datetime | None = None


class OwnToken:
    """A token that `fetch` gets. Safe to share between threads, of which one at a time fetches for all."""

    def __init__(self, fetch: Callable[[], IssuedToken], *, early: timedelta = EARLY) -> None:
        """`early`: how long before it expires the token is no longer used."""
        self._fetch = fetch
        self._early = early
        self._kept: IssuedToken | None = None
        self._fetching = SingleFlight[str]()

    def call(self, send: Callable[[str], Reply]) -> Reply:
        """The reply to `send`, which gets the token; a refused token (401) is renewed, once.

        Raises what `send` and `fetch` raise.
        """
        token = self._other_than(None)
        reply = send(token)
        return send(self._other_than(token)) if reply.status == 401 else reply

    def _other_than(self, refused: str | None) -> str:
        """A token in force that is not `refused`; of several threads that hold the same one, only the first fetches."""
        return self._usable(refused) or self._fetching.do(lambda: self._renew(refused))

    def _usable(self, refused: str | None) -> str | None:
        kept = self._kept
        if kept is None or kept.text == refused:
            return None
        is_in_force = kept.expires is None or clock.now() < kept.expires - self._early
        return kept.text if is_in_force else None

    def _renew(self, refused: str | None) -> str:
        # Another thread may have been quicker, just before this one took its turn.
        token = self._usable(refused)
        if token is None:
            self._kept = None
            self._kept = self._fetch()
            token = self._kept.text
        return token
