"""The OAuth2 client credentials grant (RFC 6749, section 4.4), which gets a token for a partner's API."""

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
# The longest accepted lifetime. Larger values would exceed the range of dates.
_MOST_SECONDS = 366 * 24 * 3600


def client_token(endpoint: http.RemoteService, client_id: str, client_secret: str) -> OwnToken:
    """The access token that `endpoint` issues to the client."""
    headers = _HEADERS | {"authorization": _basic(client_id, client_secret)}
    return OwnToken(lambda: _issued(lambda: endpoint.exchange_twice("POST", "", headers=headers, body=_FORM)))


def assertion_token(endpoint: http.RemoteService, form: Callable[[], bytes], *, early: timedelta) -> OwnToken:
    """The access token that `endpoint` issues for an assertion instead of a secret (RFC 7523, section 2.2).

    `form` makes the body of a request, with a new assertion each time. `early`: the time before its expiry at which the
    token is no longer used.
    """
    return OwnToken(lambda: _issued(lambda: endpoint.exchange("POST", "", headers=_HEADERS, body=form())), early=early)


def _issued(ask: Callable[[], http.Reply]) -> IssuedToken:
    asked = clock.now()
    granted = ask().require(200).json_object()
    seconds = _lifetime(granted.get("expires_in"))
    return IssuedToken(_access_token(granted), None if seconds is None else asked + timedelta(seconds=seconds))


def _basic(client_id: str, client_secret: str) -> str:
    """The header of basic authentication. Both are form-encoded first, so they cannot contain a colon (RFC 6749, 2.3.1)."""
    credentials = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(credentials.encode("ascii")).decode("ascii")


def _access_token(granted: dict[str, Any]) -> str:
    token = granted.get("access_token")
    # The token becomes part of a header, so only printable ASCII is accepted.
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise BadGateway
    if str(granted.get("token_type", "Bearer")).lower() != "bearer":
        raise BadGateway
    return token


def _lifetime(value: object) -> float | None:
    """The lifetime in seconds; None when the endpoint does not give one. Raises BadGateway for an invalid value."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_SECONDS:
        raise BadGateway
    return value
