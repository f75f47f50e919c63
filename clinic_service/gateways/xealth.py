"""The API of Xealth, where this server reads and places orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways import http
from clinic_service.gateways.client_credentials import client_token

# The time limit of one call in seconds. Xealth reads the order from the health record system during the call.
SECONDS = 10.0


class XealthNotConfigured(BadGateway):
    """The configuration has no access to Xealth."""

    message = "This server has no access to the API of Xealth."


class XealthUnreachable(BadGateway):
    """The API, or the endpoint of its tokens, gives no answer, or none in time."""

    message = "Xealth cannot be reached just now."


@dataclass(frozen=True, slots=True)
class FetchedOrder:
    """An order in an answer of Xealth: the text of the answer, and the object in it, which is not validated yet."""

    text: str = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)


class XealthApi(Protocol):
    """The orders of health record systems. A `deployment` is one health record system. All failures are BadGateway."""

    def read_order(self, deployment: str, order_id: str) -> FetchedOrder:
        """The order with this id."""

    def create_order(self, deployment: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
        """Place an order and return the answer of Xealth."""


class UnconfiguredXealth:
    """The implementation when Xealth is switched off."""

    def read_order(self, deployment: str, order_id: str) -> FetchedOrder:  # noqa: ARG002
        raise XealthNotConfigured

    def create_order(self, deployment: str, order: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002
        raise XealthNotConfigured


class HttpXealth:
    """The API over HTTP. Safe to share between threads."""

    def __init__(self, config: Config, *, seconds: float = SECONDS) -> None:
        """`seconds`: the time limit of one call. Raises ConfigError for an invalid address."""
        base = _url(config.xealth_server_base_url, "SERVER_BASE_URL").rstrip("/")
        self._api = http.RemoteService(base, seconds=seconds)
        endpoint = http.RemoteService(_url(config.xealth_token_url, "TOKEN_URL"), seconds=seconds)
        self._token = client_token(endpoint, config.xealth_client_id or "", config.xealth_client_secret or "")

    def read_order(self, deployment: str, order_id: str) -> FetchedOrder:
        reply = self._call("GET", f"/partner/read/order/{_part(deployment)}/{_part(order_id)}").require(200)
        content = reply.json_object()
        return FetchedOrder(reply.body.decode("utf-8", "replace"), content)

    def create_order(self, deployment: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
        path = f"/partner/write/order/{_part(deployment)}"
        return self._call("POST", path, orjson.dumps(order)).require(200, 201).json_object()

    def _call(self, method: str, path: str, body: bytes | None = None) -> http.Reply:
        """Send one request with this server's token. A request that only reads is repeated once when there is no answer."""
        try:
            return self._token.call(lambda token: self._send(method, path, token, body))
        except Unavailable:
            raise XealthUnreachable from None

    def _send(self, method: str, path: str, token: str, body: bytes | None) -> http.Reply:
        headers = {"accept": "application/json", "authorization": f"Bearer {token}"}
        if body is None:
            return self._api.exchange_twice(method, path, headers=headers)
        return self._api.exchange(method, path, headers=headers | {"content-type": "application/json"}, body=body)


def chosen_xealth(config: Config) -> XealthApi:
    """The implementation for `config`. Raises ConfigError."""
    return HttpXealth(config) if config.xealth_enabled else UnconfiguredXealth()


def _part(text: str) -> str:
    """`text` as one segment of a path. Raises BadGateway for texts that cannot be a segment, such as `..`."""
    if text in ("", ".", ".."):
        raise BadGateway
    return quote(text, safe="")


def _url(url: str, name: str) -> str:
    if not http.is_http_url(url):
        raise ConfigError(f"CLINIC_XEALTH_{name} must be an http(s) URL.")
    return url
