"""Xealth on this machine: its token endpoint and its API of orders, on a real HTTP server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from clinic_service.config import Config
from tests.support.http_server import HttpServer, Received, Response, http_server

BEARER = "secret of Xealth"
CLIENT_ID, CLIENT_SECRET = "clinic service:1", "sesame & more"
APPLICATION_URL = "https://app.harbour.example"
_TOKEN_PATH, _BASE_PATH = "/oauth2/token", "/v2"


class XealthServer:
    """Keeps orders by deployment and id, and takes those that are placed.

    `grant` decides about a request for a token and `answer` about any other call, while they are set.
    """

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.reset()
        server.answer = self._answer

    def reset(self) -> None:
        """As it was at first: without orders, with nothing received."""
        self.orders: dict[tuple[str, str], Any] = {}
        self.placed: list[tuple[str, Any]] = []
        self.grant: Callable[[Received], Response] = self._grant
        self.answer: Callable[[Received], Response | None] = lambda _: None
        # Tokens that are accepted; the last one is what the endpoint gives.
        self.tokens = ["xealth-token-1"]
        self.expires_in: Any = 3600
        self.server.received.clear()

    def config(self, **settings: Any) -> Config:
        """The settings of a server for which Xealth is switched on."""
        given: dict[str, Any] = {
            "xealth_enabled": True,
            "xealth_bearer_token": BEARER,
            "xealth_client_id": CLIENT_ID,
            "xealth_client_secret": CLIENT_SECRET,
            "xealth_token_url": self.server.url + _TOKEN_PATH,
            "xealth_server_base_url": f"{self.server.url}{_BASE_PATH}/",
            "application_url": APPLICATION_URL,
        }
        return Config(**given | settings)

    @property
    def log_ins(self) -> list[Received]:
        """The requests for a token."""
        return [received for received in self.server.received if received.path == _TOKEN_PATH]

    @property
    def calls(self) -> list[str]:
        """Method and path of all other requests."""
        calls = (received for received in self.server.received if received.path != _TOKEN_PATH)
        return [f"{received.method} {received.path.removeprefix(_BASE_PATH)}" for received in calls]

    def _answer(self, received: Received) -> Response:
        if received.path == _TOKEN_PATH:
            return self.grant(received)
        return self.answer(received) or self.carry_out(received)

    def _grant(self, received: Received) -> Response:
        credentials = base64.b64encode(b"clinic+service%3A1:sesame+%26+more").decode()
        good = received.body == b"grant_type=client_credentials"
        if not good or received.headers.get("authorization") != f"Basic {credentials}":
            return Response(401, json={"error": "invalid_client"})
        granted = {"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": self.expires_in}
        return Response(200, json={name: value for name, value in granted.items() if value is not None})

    def carry_out(self, received: Received) -> Response:
        """What a healthy Xealth answers."""
        if received.headers.get("authorization") not in [f"Bearer {token}" for token in self.tokens]:
            return Response(401, json={"message": "unauthorized"})
        match [unquote(part) for part in received.path.removeprefix(_BASE_PATH).split("/")[1:]]:
            case ["partner", "read", "order", deployment, order_id] if received.method == "GET":
                order = self.orders.get((deployment, order_id))
                # Unlike the usual writer, this one takes halves of surrogate pairs, which a real one might send.
                return Response(404) if order is None else Response(200, body=json.dumps(order).encode())
            case ["partner", "write", "order", deployment] if received.method == "POST":
                self.placed.append((deployment, received.json))
                return Response(200, json={"orderId": f"XO-{len(self.placed)}"})
        return Response(404)


@contextmanager
def xealth_server() -> Iterator[XealthServer]:
    """A running Xealth without orders."""
    with http_server(lambda _: Response(404)) as server:
        yield XealthServer(server)
