"""The auth service of the platform on this machine: logs servers in, and makes and tells restricted tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from clinic_service import clock
from clinic_service.gateways.server_token import SESSION_HEADER
from tests.support.http_server import HttpServer, Received, Response, http_server


class AuthService:
    """Keeps tokens by id. `on_bad_days` may answer instead, None where it does not mind."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.reset()
        server.answer = self._answer

    def reset(self) -> None:
        """As it was at first: without tokens, with nothing received."""
        self.tokens: dict[str, dict[str, Any]] = {}
        self.session_token = "session-token-1"
        self.on_bad_days: Callable[[Received], Response | None] = lambda _: None
        self.server.received.clear()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a server that uses this service."""
        return {
            "auth_client_address": f"{self.server.url}/",
            "auth_client_external_address": f"{self.server.url}/auth",
            "accounts_server_name": "clinic",
            "accounts_server_secret": "server secret",
        }

    @property
    def calls(self) -> list[str]:
        """Method and path of every call but the log-ins."""
        calls = (received for received in self.server.received if received.path != "/auth/serverlogin")
        return [f"{received.method} {received.path}" for received in calls]

    def _answer(self, received: Received) -> Response:
        if received.path == "/auth/serverlogin":
            return self._log_in(received)
        if received.headers.get(SESSION_HEADER) != self.session_token:
            return Response(401)
        return self.on_bad_days(received) or self.carry_out(received)

    def _log_in(self, received: Received) -> Response:
        given = (received.headers.get("x-tidepool-server-name"), received.headers.get("x-tidepool-server-secret"))
        if given != ("clinic", "server secret"):
            return Response(401)
        return Response(200, headers={SESSION_HEADER: self.session_token})

    def carry_out(self, received: Received) -> Response:
        """What a healthy service answers."""
        parts = received.path.split("/")[1:]
        if received.method == "POST" and parts[:2] == ["v1", "users"] and parts[3:] == ["restricted_tokens"]:
            return Response(201, json=self._create(parts[2], received.json))
        if received.method == "GET" and parts[:2] == ["v1", "restricted_tokens"]:
            token = self.tokens.get(parts[2])
            return Response(404) if token is None else Response(200, json=token)
        return Response(404)

    def _create(self, user_id: str, asked: dict[str, Any]) -> dict[str, Any]:
        now = clock.now()
        token = {
            "id": f"{len(self.tokens) + 1:032d}",
            "userId": user_id,
            "expirationTime": clock.to_wire(now + timedelta(hours=1)),
            "createdTime": clock.to_wire(now),
            **asked,
        }
        self.tokens[token["id"]] = token
        return token


@contextmanager
def auth_service() -> Iterator[AuthService]:
    """A running service without tokens."""
    with http_server(lambda _: Response(404)) as server:
        yield AuthService(server)
