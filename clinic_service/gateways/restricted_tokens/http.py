"""Restricted tokens of the platform's auth service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways import http
from clinic_service.gateways.own_tokens import OwnToken
from clinic_service.gateways.restricted_tokens.protocol import (
    IssuedRestrictedToken,
    RestrictedTokensUnavailable,
    is_token_id,
)
from clinic_service.gateways.server_token import SESSION_HEADER

# The time for one call.
SECONDS = 10.0


class HttpRestrictedTokens:
    """The tokens of the auth service, which is called with this server's token. Safe to share between threads."""

    def __init__(self, config: Config, server_token: OwnToken, *, seconds: float = SECONDS) -> None:
        """`seconds`: the time limit of one call. Raises ConfigError for an invalid address."""
        url = config.auth_client_address or ""
        if not http.is_http_url(url):
            raise ConfigError("CLINIC_AUTH_CLIENT_ADDRESS must be an http(s) URL.")
        self._service = http.RemoteService(url.rstrip("/"), seconds=seconds)
        self._server_token = server_token

    def create(
        self, user_id: str, *, paths: Sequence[str] | None = None, expires: datetime | None = None
    ) -> IssuedRestrictedToken:
        asked: dict[str, Any] = {}
        if paths is not None:
            asked["paths"] = list(paths)
        if expires is not None:
            asked["expirationTime"] = clock.to_wire(expires)
        reply = self._call("POST", f"/v1/users/{quote(user_id, safe='')}/restricted_tokens", asked)
        token = _token(reply.require(200, 201))
        if token.user_id != user_id:
            raise BadGateway
        return token

    def find(self, token_id: str) -> IssuedRestrictedToken | None:
        reply = self._call("GET", f"/v1/restricted_tokens/{quote(token_id, safe='')}")
        if reply.status == 404:
            return None
        token = _token(reply.require(200))
        if token.id != token_id:
            raise BadGateway
        return token if clock.now() < token.expires else None

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> http.Reply:
        """Send one request with this server's token."""
        try:
            return self._server_token.call(lambda token: self._send(method, path, token, body))
        except Unavailable:
            raise RestrictedTokensUnavailable from None

    def _send(self, method: str, path: str, token: str, body: Mapping[str, Any] | None) -> http.Reply:
        headers = {SESSION_HEADER: token, "accept": "application/json"}
        if body is None:
            return self._service.exchange_twice(method, path, headers=headers)
        headers["content-type"] = "application/json"
        # Creating a token can be repeated: a surplus token does no harm, because its id is not sent to any client.
        return self._service.exchange_twice(method, path, headers=headers, body=orjson.dumps(body))


def _token(reply: http.Reply) -> IssuedRestrictedToken:
    """The token in `reply`. Raises BadGateway when it contains no valid one."""
    document = reply.json_object()
    token_id, user_id, paths = document.get("id"), document.get("userId"), document.get("paths")
    if not isinstance(token_id, str) or not is_token_id(token_id) or not isinstance(user_id, str):
        raise BadGateway
    if paths is not None and not (isinstance(paths, list) and all(isinstance(path, str) for path in paths)):
        raise BadGateway
    expires = _time(document.get("expirationTime"))
    return IssuedRestrictedToken(token_id, user_id, expires, None if paths is None else tuple(paths))


def _time(value: object) -> datetime:
    """The point in time in `value`. Raises BadGateway for any other value."""
    try:
        time = datetime.fromisoformat(value.upper()) if isinstance(value, str) else None
        if time is None or time.tzinfo is None:
            raise BadGateway
        return clock.from_wire(time.isoformat())
    except ValueError:
        raise BadGateway from None
