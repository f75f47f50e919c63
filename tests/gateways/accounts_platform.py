"""The accounts and profiles services of another system, for tests."""

from __future__ import annotations

from collections.abc import Callable

from clinic_service.config import Config
from clinic_service.gateways.accounts import Account
from clinic_service.gateways.server_token import SESSION_HEADER
from tests.support.http_server import HttpServer, Received, Response

USER_ID = "ca401c0003"


CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"


CAROL = {
    "userid": USER_ID,
    "username": "Carol@Mail.example",
    "emails": ["Carol@Mail.example", "carol@work.example"],
    "roles": ["clinician"],
    "emailVerified": True,
}


ACCOUNT = Account(USER_ID, "carol@mail.example", ("carol@mail.example", "carol@work.example"), ("clinician",))


class Platform:
    """The two services: logs callers in, and lets `answer` decide about everything else."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.answer: Callable[[Received], Response] = lambda _: Response(404)
        self.log_in = Response(200, headers={SESSION_HEADER: "token-1"})
        server.answer = lambda received: self.log_in if received.path == "/serverlogin" else self.answer(received)

    @property
    def calls(self) -> list[str]:
        return [f"{received.method} {received.path}" for received in self.server.received]

    @property
    def last(self) -> Received:
        return self.server.received[-1]


def platform_config(url: str) -> Config:
    return Config(
        accounts_url=f"{url}/",
        profiles_url=f"{url}/metadata",
        accounts_server_name="clinic",
        accounts_server_secret="server secret",
    )


def always(response: Response) -> Callable[[Received], Response]:
    return lambda _: response
