"""The accounts and profiles services of the platform, as far as this service speaks to them, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.gateways.server_token import SESSION_HEADER
from tests.support.http_server import HttpServer, Received, Response, http_server

MADE_UP = "unclaimed-custodial-automation+00000000000000000000@tidepool.org"


class Platform:
    """Keeps accounts by id. `on_bad_days` may answer instead, None where it does not mind."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.users: dict[str, str] = {}
        # What it says about where each account comes from.
        self.origins: dict[str, dict[str, str]] = {}
        self.on_bad_days: Callable[[Received], Response | None] = lambda _: None
        server.answer = self._answer

    def config(self, **values: Any) -> Config:
        """Settings of a server that uses this platform."""
        url = self.server.url
        return Config(
            accounts_url=url,
            profiles_url=f"{url}/metadata",
            accounts_server_name="clinic",
            accounts_server_secret="server secret",
            **values,
        )

    def forget(self) -> None:
        """As if it had just been set up."""
        self.users.clear()
        self.origins.clear()
        self.server.received.clear()
        self.on_bad_days = lambda _: None

    @property
    def calls(self) -> list[str]:
        """Method and path of every call but the log-ins."""
        asked = (received for received in self.server.received if received.path != "/serverlogin")
        return [f"{received.method} {received.path}" for received in asked]

    def fail(self, method: str, response: Response, *, after: bool = False) -> None:
        """Answer calls of that method like this; `after` carrying them out."""

        def answer(received: Received) -> Response | None:
            if received.method != method or received.path == "/serverlogin":
                return None
            if after:
                self.carry_out(received)
            return response

        self.on_bad_days = answer

    def _answer(self, received: Received) -> Response:
        if received.path == "/serverlogin":
            return Response(200, headers={SESSION_HEADER: "token"})
        return self.on_bad_days(received) or self.carry_out(received)

    def carry_out(self, received: Received) -> Response:
        """Do what is asked for, and give the answer."""
        user_id = self._user_id(unquote(received.path.rpartition("/")[2]))
        if received.method == "POST":
            return self._create(received.path.split("/")[3], received.json.get("username"))
        if user_id not in self.users:
            return Response(404)
        if received.method == "PUT":
            return self._update(user_id, received.json["updates"].get("username"))
        if received.method == "DELETE":
            del self.users[user_id]
            return Response(202)
        return Response(200, json=self._document(user_id))

    def _user_id(self, id_or_email: str) -> str:
        return next((user_id for user_id, email in self.users.items() if email == id_or_email), id_or_email)

    def _create(self, clinic_id: str, email: str | None) -> Response:
        if email and email in self.users.values():
            return Response(409)
        user_id = f"{len(self.server.received):010x}"
        self.users[user_id] = email or ""
        self.origins[user_id] = {"createdTime": clock.to_wire(clock.now()), "createdUserId": clinic_id}
        return Response(201, json=self._document(user_id))

    def _update(self, user_id: str, email: str | None) -> Response:
        if email and any(email == taken for other, taken in self.users.items() if other != user_id):
            return Response(409)
        self.users[user_id] = email or ""
        return Response(200, json=self._document(user_id))

    def _document(self, user_id: str) -> dict[str, Any]:
        address = self.users[user_id] or MADE_UP
        return {"userid": user_id, "username": address, "emails": [address], **self.origins.get(user_id, {})}


@contextmanager
def platform() -> Iterator[Platform]:
    """A platform without users."""
    with http_server(lambda _: Response(404)) as server:
        yield Platform(server)
