"""An identity provider of partners' clients, on a real HTTP server: its token endpoint and its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import jwt

from clinic_service import clock
from clinic_service.config import Config
from tests.support.http_server import HttpServer, Received, Response, http_server
from tests.support.session_tokens import key_set, rsa_jwk, rsa_key

CLIENT_ID = "night-report-export"
CLIENT_SECRET = "correct-horse-battery-staple"
SUBJECT = "5eb1ce0004"
ISSUER = "https://id.example/realms/partners"
KEY_ID = "one"
_TOKEN_PATH, _KEYS_PATH = "/token", "/keys"


def id_token(key: Any = None, algorithm: str = "RS256", key_id: str | None = KEY_ID, **changes: Any) -> str:
    """The token of a good answer, with these changes; a claim set to None is left out."""
    now = int(clock.now().timestamp())
    values: dict[str, Any] = {"iss": ISSUER, "aud": CLIENT_ID, "sub": SUBJECT, "iat": now, "exp": now + 300}
    claims = {name: value for name, value in (values | changes).items() if value is not None}
    headers = {} if key_id is None else {"kid": key_id}
    key = rsa_key() if key is None and algorithm != "none" else key
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def answering(**changes: Any) -> Response:
    """A token endpoint's answer to good credentials, with these changes to the claims of the identity token."""
    return with_id_token(id_token(**changes))


def with_id_token(token: Any) -> Response:
    """An answer with this identity token."""
    body = {"access_token": "an access token", "token_type": "Bearer", "expires_in": 300, "id_token": token}
    return Response(200, json=body)


class IdentityProvider:
    """Knows one client, until `answer` is set: then that decides about every attempt."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self.reset()
        server.answer = self._answer

    def reset(self) -> None:
        """As it was at first, with nothing received."""
        self.answer: Callable[[Received], Response] = _judge
        self.keys = Response(200, body=key_set(rsa_jwk(KEY_ID)))
        self._server.received.clear()

    def always(self, response: Response) -> None:
        """Let every attempt get `response`."""
        self.answer = lambda _: response

    def config(self, **settings: Any) -> Config:
        """The settings of a server that asks this provider."""
        return Config(
            auth_service_token_endpoint=self._server.url + _TOKEN_PATH,
            auth_service_jwks=self._server.url + _KEYS_PATH,
            auth_service_issuer=ISSUER,
            **settings,
        )

    @property
    def attempts(self) -> list[Received]:
        """The requests to the token endpoint."""
        return [received for received in self._server.received if received.path == _TOKEN_PATH]

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [received.path for received in self._server.received]

    def _answer(self, received: Received) -> Response:
        if received.path == _KEYS_PATH:
            return self.keys
        return self.answer(received) if received.path == _TOKEN_PATH else Response(404)


def _judge(received: Received) -> Response:
    form = {name: values[0] for name, values in parse_qs(received.body.decode("ascii"), strict_parsing=True).items()}
    good = {
        "grant_type": "client_credentials",
        "scope": "openid",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    return answering() if form == good else Response(401, json={"error": "invalid_client"})


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """A running provider."""
    with http_server(lambda _: Response(404)) as server:
        yield IdentityProvider(server)
