"""Reads requests from bytes. httptools parses them; this module adds limits and makes the WSGI environ."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from clinic_service.api.addresses import split_target
from clinic_service.api.bodies import ADMITTED
from clinic_service.api.exchange import ARRIVED
from clinic_service.server.errors import HeadersTooLarge, InvalidHttp, TargetTooLong
from clinic_service.server.limits import Limits

_LATIN_1 = "latin-1"
_PLAIN_NAMES = {"CONTENT-TYPE": "CONTENT_TYPE"}
# A name or an address, and a port (RFC 3986, 3.2.2 and 3.2.3). It is empty where the target has none.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(:[0-9]*)?")
# Headers about the framing of the body, which is over when the body is read. The application gets the true length.
_FRAMING = frozenset(
    {"CONTENT-LENGTH", "TRANSFER-ENCODING", "EXPECT", "CONNECTION", "KEEP-ALIVE", "UPGRADE", "TRAILER"}
)


class HttpRequest:
    """One request while it arrives and while it is answered."""

    __slots__ = (
        "admitted",
        "body",
        "caller_of",
        "complete",
        "expects_continue",
        "headers",
        "is_cut",
        "keep_alive",
        "length",
        "limit",
        "method",
        "peer",
        "size",
        "target",
        "version",
    )

    def __init__(self) -> None:
        self.method = "GET"
        self.target = ""
        self.version = "1.1"
        self.peer = ""
        """The address of the other side of the connection."""
        self.caller_of: Callable[[], str] = str
        """Gives the caller as a key, as soon as the gate has the request."""
        self.headers: list[tuple[str, str]] = []
        self.length: int | None = 0
        """The announced size of the body; None for a chunked one."""
        self.limit: int | None = None
        """The maximum number of bytes of the body that are read; None before the application was asked."""
        self.body: list[bytes] = []
        self.size = 0
        self.complete = False
        self.keep_alive = True
        self.admitted = False
        self.is_cut = False
        """Whether reading of the body was stopped before its end."""
        self.expects_continue = False
        """Whether the client waits for permission to send the body."""

    def environ(self, *, with_body: bool = True) -> dict[str, Any]:
        """The WSGI environ of the request, with the part of the body that has arrived, or without a body."""
        path, query = split_target(self.target)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path.encode(_LATIN_1)).decode(_LATIN_1) if "%" in path else path,
            "QUERY_STRING": query,
            "REQUEST_URI": self.target,
            "REMOTE_ADDR": self.peer,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "0",
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"".join(self.body) if with_body else b""),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            ARRIVED: time.perf_counter(),
        }
        if self.length is None or self.length:
            # A body that is too large is not read completely, so its announced size is passed on.
            environ["CONTENT_LENGTH"] = str(self.size if self.length is None else self.length)
        if self.admitted:
            environ[ADMITTED] = True
        for name, value in self.headers:
            if name not in _FRAMING:
                key = _PLAIN_NAMES.get(name) or "HTTP_" + name.replace("-", "_")
                environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ


class RequestReader:
    """Reads the requests of one connection.

    `on_head` is called when the head of a request is complete, `on_body` for each part of its body, `on_complete` at its
    end. A header with an underscore in its name is dropped, because WSGI cannot distinguish it from one with a hyphen.
    """

    def __init__(
        self,
        limits: Limits,
        on_head: Callable[[HttpRequest], None],
        on_body: Callable[[HttpRequest, bytes], None],
        on_complete: Callable[[HttpRequest], None],
    ) -> None:
        self._limits = limits
        self._on_head, self._on_body, self._on_complete = on_head, on_body, on_complete
        self._parser = httptools.HttpRequestParser(self)
        self._request: HttpRequest | None = None
        self._head_complete = False
        self._is_resuming = False
        self._target = b""
        self._pending = 0
        self._head_size = 0

    @property
    def is_within_head(self) -> bool:
        """Whether a head has begun and is not complete."""
        return self._request is not None and not self._head_complete

    def feed(self, data: bytes) -> None:
        """Read `data`. Raises InvalidHttp, TargetTooLong and HeadersTooLarge, after which nothing more can be read."""
        if not self._head_complete:
            self._pending += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._continue_after_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError as error:
            # The error that a callback of this class raised.
            raise error.__context__ or error from None
        except httptools.HttpParserError:
            raise InvalidHttp from None
        # The parser reports a header when it is complete, so a header that never ends is noticed only here.
        if not self._head_complete and self._pending > self._limits.head_bytes:
            raise HeadersTooLarge

    def _continue_after_upgrade(self, rest: bytes) -> None:
        """Continue after the head of a request that offers another protocol (Upgrade), which the server does not accept.

        The parser assumes that the rest belongs to that protocol. So a new parser reads the rest, after a head that tells
        it how the body is framed.
        """
        self._parser = httptools.HttpRequestParser(self)
        if self._request is not None:
            self._is_resuming = True
            length = self._request.length
            framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
            self._parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
        if rest:
            self.feed(rest)

    # --- called by the parser

    def on_message_begin(self) -> None:
        if self._is_resuming:
            return
        self._request = HttpRequest()
        self._head_complete = False
        self._target = b""
        self._head_size = 0

    def on_url(self, part: bytes) -> None:
        if self._is_resuming:
            return
        self._target += part
        if len(self._target) > self._limits.target_bytes:
            raise TargetTooLong

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request
        if request is None or self._head_complete:
            # A trailer after a chunked body, or the head for a new parser.
            return
        self._head_size += len(name) + len(value)
        if self._head_size > self._limits.head_bytes or len(request.headers) >= self._limits.headers:
            raise HeadersTooLarge
        if b"_" not in name:
            # The parser has removed the white space before the value, and that after it is no part of it either.
            request.headers.append((name.decode(_LATIN_1).upper(), value.decode(_LATIN_1).rstrip(" \t")))

    def on_headers_complete(self) -> None:
        if self._is_resuming:
            self._is_resuming = False
            return
        request = self._request
        assert request is not None
        request.method = self._parser.get_method().decode(_LATIN_1)
        request.version = self._parser.get_http_version()
        request.target = self._target.decode(_LATIN_1)
        request.keep_alive = self._parser.should_keep_alive() and request.method != "CONNECT"
        _frame(request)
        self._head_complete, self._pending = True, 0
        self._on_head(request)

    def on_body(self, part: bytes) -> None:
        assert self._request is not None
        self._on_body(self._request, part)

    def on_message_complete(self) -> None:
        request = self._request
        assert request is not None
        if self._parser.should_upgrade() and request.length != 0:
            # The body has not been read yet.
            return
        self._request, self._head_complete = None, False
        request.complete = True
        self._on_complete(request)


def _frame(request: HttpRequest) -> None:
    """Record how the body is framed. Raises InvalidHttp for another HTTP version than 1.0 and 1.1, and for bad hosts."""
    if request.version not in ("1.0", "1.1"):
        raise InvalidHttp
    names = [name for name, _ in request.headers]
    hosts = [value for name, value in request.headers if name == "HOST"]
    if len(hosts) > 1 or (not hosts and request.version == "1.1") or not all(map(_HOST.fullmatch, hosts)):
        raise InvalidHttp
    if "TRANSFER-ENCODING" in names:
        if any(name == "TRANSFER-ENCODING" and value.lower() != "chunked" for name, value in request.headers):
            # The body would still be compressed, for instance.
            raise InvalidHttp
        request.length = None
    elif "CONTENT-LENGTH" in names:
        # The parser has checked that it is a single number of digits.
        request.length = int(next(value for name, value in request.headers if name == "CONTENT-LENGTH"))
    request.expects_continue = any(
        name == "EXPECT" and value.lower() == "100-continue" for name, value in request.headers
    )
