"""One HTTP exchange with another system: a deadline for the whole of it, a size limit, no redirects, no proxy."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from clinic_service.errors import BadGateway, Unavailable

DEFAULT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1024 * 1024


class ServiceUnreachable(Unavailable):
    """Another system did not answer in time, or not at all."""

    message = "Another service cannot be reached just now."


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other system answered. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises BadGateway when it is none."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise BadGateway from None
        if not isinstance(value, dict):
            raise BadGateway
        return value


def is_http_url(url: str) -> bool:
    """Whether `url` can be called: http or https, and a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def exchange(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, seconds: float = DEFAULT_SECONDS
) -> Reply:
    """Send one request and read the whole answer within `seconds`.

    Raises ServiceUnreachable when no complete answer came in time, BadGateway when it is not HTTP or too large.
    """
    connection = _connection(url, seconds)
    deadline = _Deadline(seconds)
    try:
        with deadline:
            connection.connect()
            deadline.sock = connection.sock
            connection.request(method, _target(url), body=body, headers=dict(headers))
            reply = _read(connection.getresponse())
    except (OSError, http.client.RemoteDisconnected, http.client.IncompleteRead):
        raise ServiceUnreachable from None
    except http.client.HTTPException:
        # Cut off by the deadline, half an answer looks like a malformed one.
        raise (ServiceUnreachable if deadline.passed else BadGateway) from None
    finally:
        connection.close()
    if deadline.passed:
        raise ServiceUnreachable
    return reply


def _connection(url: str, seconds: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=seconds)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _read(response: http.client.HTTPResponse) -> Reply:
    # The connection may have left the socket to the answer, so that is closed as well, however much of it was read.
    with response:
        body = response.read(MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise BadGateway
    if response.length:
        # Bytes that were announced are missing; the library tells only those who read without a limit.
        raise http.client.IncompleteRead(body)
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


class _Deadline:
    """Shuts the socket when the time is up: its own time-out starts anew with each byte that trickles in."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self.sock: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
