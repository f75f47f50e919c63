"""Redox and the export service on a real HTTP server: a token endpoint, the one for messages, that for files, reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from email import message_from_bytes
from email.policy import HTTP
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clinic_service import clock
from clinic_service.config import Config, variable
from tests.support.http_server import HttpServer, Received, Response, http_server
from tests.support.session_tokens import SECRET, rsa_key

CLIENT_ID = "4b1c-client"
KEY_ID = "key-of-the-clinic-service"
SOURCE_ID = "0f4bd1d1-451d-4351-8cfd-b767d1b488d6"
SOURCE_NAME = "Clinic Service"
PDF = b"%PDF-1.7\nthe report\n%%EOF"
BLOB_URI = "https://blob.redoxengine.com/files/42"
TAKEN, REFUSED = Response(200, json={"Meta": {}}), Response(500)
_TOKEN, _ENDPOINT, _BLOB, _REPORT = "/token", "/endpoint", "/upload", re.compile("/export/report/([^/]+)")


@cache
def private_key() -> str:
    """The key of the server in PEM form."""
    return rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def in_turn(*responses: Response) -> Callable[[Received], Response]:
    """Answers with each of the responses, and then with the last one again and again."""
    remaining = list(responses)
    return lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0]


class Redox:
    """Takes everything that a token comes with which it has issued. The members decide what each part answers instead."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.expires_in: Any = 3600
        self.valid: list[str] = []
        self.assertions: list[dict[str, Any]] = []
        self.token: Callable[[Received], Response] = self._issue
        self.endpoint: Callable[[Received], Response] = in_turn(TAKEN)
        self.blob: Callable[[Received], Response] = lambda _: Response(200, json={"URI": BLOB_URI})
        self.report: Callable[[Received], Response] = lambda _: Response(200, body=PDF)
        server.answer = self._answer

    def config(self, **settings: Any) -> Config:
        """The settings of a server that sends to this Redox, and has its reports made here."""
        url = self.server.url
        given: dict[str, Any] = {
            "session_secret": SECRET,
            "redox_enabled": True,
            "redox_client_id": CLIENT_ID,
            "redox_key_id": KEY_ID,
            "redox_private_key": private_key(),
            "redox_source_id": SOURCE_ID,
            "redox_source_name": SOURCE_NAME,
            "redox_endpoint_url": url + _ENDPOINT,
            "redox_token_url": url + _TOKEN,
            "redox_blob_url": url + _BLOB,
            "export_client_address": url,
        }
        return Config(**given | settings)

    @property
    def environ(self) -> dict[str, str]:
        """The same settings, as they stand in the environment."""
        given, usual = self.config(), Config()
        changed = (f.name for f in fields(Config) if getattr(given, f.name) != getattr(usual, f.name))
        return {variable(name): str(getattr(given, name)) for name in changed}

    def received(self, path: str) -> list[Received]:
        """The requests to a path, in order."""
        return [one for one in self.server.received if one.path == path]

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [one.path for one in self.server.received]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that were sent, in order, whether or not they were taken."""
        return [one.json for one in self.received(_ENDPOINT)]

    @property
    def kinds(self) -> list[str]:
        """Data model and event type of each message, as `Notes/New`."""
        return [f"{one['Meta']['DataModel']}/{one['Meta']['EventType']}" for one in self.messages]

    @property
    def uploads(self) -> list[tuple[str, bytes]]:
        """Name and content of each file."""
        return [_file_of(one) for one in self.received(_BLOB)]

    @property
    def reports(self) -> list[tuple[str, Any]]:
        """The user of each report, and what was asked for."""
        found = ((_REPORT.fullmatch(one.path), one) for one in self.server.received)
        return [(match[1], one.json) for match, one in found if match]

    def _answer(self, received: Received) -> Response:
        if received.path == _TOKEN:
            return self.token(received)
        if _REPORT.fullmatch(received.path):
            return self.report(received)
        if received.path not in (_ENDPOINT, _BLOB):
            return Response(404)
        if received.headers.get("authorization", "").removeprefix("Bearer ") not in self.valid:
            return Response(401)
        return self.endpoint(received) if received.path == _ENDPOINT else self.blob(received)

    def _issue(self, received: Received) -> Response:
        """A token for a good assertion, and another one each time."""
        try:
            self.assertions.append(_assertion(received, self.server.url + _TOKEN))
        except (jwt.PyJWTError, AssertionError):
            return Response(401, json={"error": "invalid_client"})
        self.valid.append(f"token-{len(self.assertions)}")
        granted = {"access_token": self.valid[-1], "token_type": "Bearer", "expires_in": self.expires_in}
        return Response(200, json={name: value for name, value in granted.items() if value is not None})


def _assertion(received: Received, audience: str) -> dict[str, Any]:
    form = {name: values[0] for name, values in parse_qs(received.body.decode("ascii"), strict_parsing=True).items()}
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    token = form["client_assertion"]
    assert jwt.get_unverified_header(token)["kid"] == KEY_ID
    # The clock of a test may be stopped, which the library does not know.
    unchecked: Any = {"verify_exp": False, "verify_iat": False}
    claims: dict[str, Any] = jwt.decode(
        token, rsa_key().public_key(), algorithms=["RS384"], audience=audience, options=unchecked
    )
    assert claims["iss"] == claims["sub"] == CLIENT_ID
    assert claims["iat"] <= clock.now().timestamp() < claims["exp"]
    return claims


def _file_of(received: Received) -> tuple[str, bytes]:
    head = f"Content-Type: {received.headers['content-type']}\r\n\r\n".encode()
    (part,) = message_from_bytes(head + received.body, policy=HTTP).iter_parts()
    assert part.get_param("name", header="content-disposition") == "file"
    return str(part.get_filename()), part.get_content()


@contextmanager
def redox_server() -> Iterator[Redox]:
    """A running Redox."""
    with http_server(lambda _: Response(404)) as server:
        yield Redox(server)
