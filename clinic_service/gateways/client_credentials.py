"""The OAuth2 client credentials grant (RFC 6749, section 4.4): how this server gets a token for a partner's API."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

from clinic_service import clock
from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from clinic_service.gateways.own_tokens import IssuedToken, OwnToken

_FORM = b"grant_type=client_credentials"
_HEADERS = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
# Longer than any token is kept; beyond it the calendar ends.
_MOST_SECONDS = 366 * 24 * 3600


def client_token(endpoint: http.Neighbour, client_id: str, client_secret: str) -> OwnToken:
    """The access token that `endpoint` gives the client."""
    headers = _HEADERS | {"authorization": _basic(client_id, client_secret)}
    return OwnToken(lambda: _issued(lambda: endpoint.exchange_twice("POST", "", headers=headers, body=_FORM)))


def assertion_token(endpoint: http.Neighbour, form: Callable[[], bytes], *, early: timedelta) -> OwnToken:
    """The access token that `endpoint` gives for an assertion in place of a secret (RFC 7523, section 2.2).

    `form` makes a request with an assertion that may be used once. `early`: how long before it expires the token is no
    longer used.
    """
    return OwnToken(lambda: _issued(lambda: endpoint.exchange("POST", "", headers=_HEADERS, body=form())), early=early)


def _issued(ask: Callable[[], http.Reply]) -> IssuedToken:
    asked = clock.now()
    granted = ask().require(200).json_object()
    seconds = _lifetime(granted.get("expires_in"))
    return IssuedToken(_access_token(granted), None if seconds is None else asked + timedelta(seconds=seconds))


def _basic(client_id: str, client_secret: str) -> str:
    """Both are form-encoded first (RFC 6749, section 2.3.1), so that a colon in one of them cannot be mistaken."""
    credentials = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(credentials.encode("ascii")).decode("ascii")


def _access_token(granted: dict[str, Any]) -> str:
    token = granted.get("access_token")
    # It becomes part of a header.
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise BadGateway
    if str(granted.get("token_type", "Bearer")).lower() != "bearer":
        raise BadGateway
    return token


def _lifetime(value: object) -> float | None:
    """Seconds; None when the endpoint does not tell."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_SECONDS:
        raise BadGateway
    return value
