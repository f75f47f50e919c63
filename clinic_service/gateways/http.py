"""HTTP exchanges with other systems: deadlines, a size limit, no redirects, no proxy, and connections that are kept.

All calls of a process share one client. It works in an event loop on a thread of its own, where a call is ended at its
deadline whatever it is doing: looking up a name, shaking hands, or reading an answer that trickles in byte by byte.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from clinic_service import deadline
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways.breaker import Breaker, CircuitOpen

DEFAULT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1024 * 1024
# Shorter than servers commonly keep an idle connection (five seconds and more): a change that is sent just when the
# other side hangs up fails, and may not be repeated.
_KEPT_SECONDS = 4.0
# What the client library says when the connection was closed before there was an answer.
_HUNG_UP = "Server disconnected"


class ServiceUnreachable(Unavailable):
    """Another system did not answer in time, or not at all."""

    message = "Another service cannot be reached just now."


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other system answered. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def require(self, *statuses: int) -> Reply:
        """The reply, whose status is one of `statuses`. Raises BadGateway when it is another one."""
        if self.status not in statuses:
            raise BadGateway
        return self

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; texts in it may hold anything, halves of surrogate pairs too.

        Raises BadGateway when it is none.
        """
        try:
            # One bad character in one text is no reason to do without the rest.
            value = json.loads(self.body.decode("utf-8", "replace"), parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            raise BadGateway from None
        if not isinstance(value, dict):
            raise BadGateway
        return value


class Neighbour:
    """Another system that this server calls. Safe to share between threads."""

    def __init__(self, url: str, *, seconds: float = DEFAULT_SECONDS, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        """`url`: what every address begins with; `seconds`: the time for one call."""
        self._url = url
        self._seconds = seconds
        self._max_answer_bytes = max_answer_bytes
        self._breaker = Breaker()

    def exchange(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        """As the function `exchange`; while the system keeps failing, CircuitOpen is raised at once."""
        with self._breaker.guard():
            return exchange(
                method,
                self._url + path,
                headers=headers,
                body=body,
                seconds=self._seconds,
                max_answer_bytes=self._max_answer_bytes,
            )

    def exchange_twice(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        """As `exchange`, for a call that may be repeated: it is, once, when the system fails or gives no answer."""
        try:
            reply = self.exchange(method, path, headers=headers, body=body)
        except ServiceUnreachable:
            return self.exchange(method, path, headers=headers, body=body)
        return reply if reply.status < 500 else self.exchange(method, path, headers=headers, body=body)


@contextmanager
def no_answer_is_bad_gateway() -> Iterator[None]:
    """In this block, a system that gives no answer is BadGateway, where the spec promises that of an operation."""
    try:
        yield
    except (ServiceUnreachable, CircuitOpen):
        raise BadGateway from None


def is_http_url(url: str) -> bool:
    """Whether `url` can be called: http or https, and a host."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parts.scheme in ("http", "https") and bool(parts.host) and parts.port != 0


def multipart(field: str, file_name: str, content: bytes, media_type: str) -> tuple[bytes, str]:
    """The body of a form with one file, and its content type."""
    request = httpx.Request("POST", "http://localhost", files={field: (file_name, content, media_type)})
    return request.read(), request.headers["content-type"]


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    seconds: float = DEFAULT_SECONDS,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
) -> Reply:
    """Send one request and read the whole answer within `seconds`, or within the time that the request has left.

    Raises ServiceUnreachable when no complete answer came in time, BadGateway when it is not HTTP or too large, and
    DeadlineExceeded when the time for the request is over.
    """
    limit = deadline.shortened(seconds)
    try:
        return _client().send(method, url, headers, body, limit, max_answer_bytes)
    except ServiceUnreachable:
        # Whether it was the request that had no more time.
        deadline.remaining()
        raise


class _Client:
    """The pooled client of a process, and the event loop it works in."""

    def __init__(self) -> None:
        # The library's messages hold addresses of people and, when debugging, secrets.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._http = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            trust_env=False,
            headers={"accept-encoding": "identity", "user-agent": "clinic-service"},
            # What one exchange leaves behind is no part of the next one, which may be about somebody else.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            # The threads that call are few, so connections need no limit of their own.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=_KEPT_SECONDS),
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="outgoing-http", daemon=True).start()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        max_answer_bytes: int,
    ) -> Reply:
        work = self._send(method, url, headers, body, seconds, max_answer_bytes)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        max_answer_bytes: int,
    ) -> Reply:
        request = self._http.build_request(
            method,
            url,
            headers={name.encode(): value.encode() for name, value in headers.items()},
            content=body,
            # To connect and to shake hands take a third at most, each. Cut off by the whole deadline in the middle of
            # that, the library would leave the socket open.
            timeout=httpx.Timeout(seconds, connect=seconds / 3),
        )
        try:
            async with asyncio.timeout(seconds):
                return await _read(await self._http.send(request, stream=True), max_answer_bytes)
        except httpx.ProtocolError as error:
            raise (ServiceUnreachable if str(error).startswith(_HUNG_UP) else BadGateway) from None
        except (TimeoutError, httpx.TransportError):
            raise ServiceUnreachable from None


async def _read(response: httpx.Response, max_bytes: int) -> Reply:
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > max_bytes:
                raise BadGateway
    except httpx.ProtocolError:
        # The answer had begun well, and then broke off.
        raise ServiceUnreachable from None
    finally:
        # Closes the connection unless the answer was read to its end.
        await response.aclose()
    return Reply(response.status_code, dict(response.headers), bytes(body))


_made: _Client | None = None
_making = threading.Lock()


def _client() -> _Client:
    """The client of this process, made when it is first needed: no connection and no thread survives a fork."""
    global _made  # noqa: PLW0603 - one client for the whole process is the point
    with _making:
        _made = _made or _Client()
        return _made


def _begin_anew() -> None:
    """Leave the client of the parent process to the parent."""
    global _made, _making
    _made, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)
