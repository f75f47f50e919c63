"""HTTP calls to other systems: with deadlines, a size limit and pooled connections, without redirects and proxies.

All calls of a process share one client. It runs in an event loop in a thread of its own, so that a call ends at its
deadline in every phase: while it looks up a name, connects, negotiates TLS, or reads a slow answer.

The library, httpx, is imported in the functions that use it, because a server that calls no other system saves 2 MB.
Where another system is configured, `is_http_url` imports it at the start, so that the first call does not wait for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clinic_service import deadline
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways.breaker import Breaker, CircuitOpen
from clinic_service.tracing import trace_headers

if TYPE_CHECKING:
    import httpx

DEFAULT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1024 * 1024
# Shorter than servers usually keep idle connections (five seconds or more). A request fails when the server closes the
# connection at that moment, and a request that changes something must not be repeated.
_KEPT_SECONDS = 4.0
# The message of the client library when the connection was closed before an answer.
_DISCONNECTED = "Server disconnected"


class ServiceUnreachable(Unavailable):
    """Another system did not answer, or not in time."""

    message = "Another service cannot be reached just now."


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of the other system. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def require(self, *statuses: int) -> Reply:
        """The reply, whose status is one of `statuses`. Raises BadGateway when it is another one."""
        if self.status not in statuses:
            raise BadGateway
        return self

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises BadGateway when it is not one.

        Texts in it are not checked: they may contain any character, even half of a surrogate pair.
        """
        try:
            # A text with an invalid character does not make the rest unusable.
            value = json.loads(self.body.decode("utf-8", "replace"), parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            raise BadGateway from None
        if not isinstance(value, dict):
            raise BadGateway
        return value


class RemoteService:
    """Another system that this server calls. Safe to share between threads."""

    def __init__(self, url: str, *, seconds: float = DEFAULT_SECONDS, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        """`url`: the beginning of all addresses; `seconds`: the timeout of one call."""
        self._url = url
        self._seconds = seconds
        self._max_answer_bytes = max_answer_bytes
        self._breaker = Breaker(urlsplit(url).hostname or "")

    def exchange(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        """As the function `exchange`. Raises CircuitOpen at once while the circuit breaker is open."""
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
        """As `exchange`, for a call that may be repeated.

        It is repeated once, when there is no answer or one of status 5xx.
        """
        try:
            reply = self.exchange(method, path, headers=headers, body=body)
        except ServiceUnreachable:
            return self.exchange(method, path, headers=headers, body=body)
        return reply if reply.status < 500 else self.exchange(method, path, headers=headers, body=body)


@contextmanager
def no_answer_is_bad_gateway() -> Iterator[None]:
    """Raise BadGateway when a system does not answer in this block, for operations whose spec declares 502 for this."""
    try:
        yield
    except (ServiceUnreachable, CircuitOpen):
        raise BadGateway from None


def is_http_url(url: str) -> bool:
    """Whether `url` can be called: its scheme is http or https, and it has a host."""
    import httpx

    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parts.scheme in ("http", "https") and bool(parts.host) and parts.port != 0


def multipart(field: str, file_name: str, content: bytes, media_type: str) -> tuple[bytes, str]:
    """The body of a form with one file, and its content type."""
    import httpx

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
    """Send one request and read the whole answer within `seconds`, or within the time left for the present request.

    Raises ServiceUnreachable without a complete answer in time, BadGateway for an answer that is not HTTP or too large, and
    DeadlineExceeded when the time for the present request is over.
    """
    limit = deadline.shortened(seconds)
    client = _client()
    try:
        return client.run(client.send(method, url, {**trace_headers(), **headers}, body, limit, max_answer_bytes))
    except ServiceUnreachable:
        # Raises DeadlineExceeded when the time for the present request is over.
        deadline.remaining()
        raise


class _Client:
    """The pooled client of a process, and the event loop in which it runs."""

    def __init__(self) -> None:
        import httpx

        # The log messages of the library contain e-mail addresses and, at the level DEBUG, secrets.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._http = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            trust_env=False,
            headers={"accept-encoding": "identity", "user-agent": "clinic-service"},
            # Cookies are never stored, because the next call may be for another user.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            # Few threads make calls, so the number of connections needs no limit.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=_KEPT_SECONDS),
        )
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="outgoing-http", daemon=True).start()

    def run(self, call: Coroutine[Any, Any, Reply]) -> Reply:
        """The result of `call`, which runs in the event loop while this thread waits."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        max_answer_bytes: int,
    ) -> Reply:
        import httpx

        request = self._http.build_request(
            method,
            url,
            headers={name.encode(): value.encode() for name, value in headers.items()},
            content=body,
            # Connecting and the TLS handshake may take a third of the time each. When the deadline of the whole call ended
            # one of them, the library would leave the socket open.
            timeout=httpx.Timeout(seconds, connect=seconds / 3),
        )
        try:
            async with asyncio.timeout(seconds):
                return await _read(await self._http.send(request, stream=True), max_answer_bytes)
        except httpx.ProtocolError as error:
            raise (ServiceUnreachable if str(error).startswith(_DISCONNECTED) else BadGateway) from None
        except (TimeoutError, httpx.TransportError):
            raise ServiceUnreachable from None


async def _read(response: httpx.Response, max_bytes: int) -> Reply:
    import httpx

    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > max_bytes:
                raise BadGateway
    except httpx.ProtocolError:
        # The answer began, but its end is missing.
        raise ServiceUnreachable from None
    finally:
        # Closes the connection, except when the answer was read to its end.
        await response.aclose()
    return Reply(response.status_code, dict(response.headers), bytes(body))


_made: _Client | None = None
_making = threading.Lock()


def _client() -> _Client:
    """The client of this process, created at its first use, because connections and threads do not survive a fork."""
    global _made  # noqa: PLW0603 - one client for the whole process is the point
    with _making:
        _made = _made or _Client()
        return _made


def _forget_client() -> None:
    """Drop the client of the parent process in a forked process."""
    global _made, _making
    _made, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_client)
