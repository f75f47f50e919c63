"""A real HTTP server on this machine that answers as a test tells it to: well, badly, late or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import orjson
import pytest

# How long a caller is kept waiting who does not give up.
HANG_SECONDS = 60


class Received(NamedTuple):
    """A request as the server got it. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Response:
    """An answer. `raw` goes out as it is, in place of any HTTP; `hang` keeps the caller waiting after that."""

    status: int = 200
    json: Any = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    hang: bool = False


Answering = Callable[[Received], Response]


def call_timeout(request: pytest.FixtureRequest) -> float:
    """Seconds to wait for an answer: enough on a busy machine, but one if the test is about an answer that never comes."""
    callspec = getattr(request.node, "callspec", None)
    values = callspec.params.values() if callspec else ()
    return 1.0 if any(isinstance(value, Response) and value.hang for value in values) else 20.0


class HttpServer:
    """`answer` decides what every request gets; `received` keeps them."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.closing = threading.Event()
        self._server = _QuietServer(("127.0.0.1", 0), _handler_for(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def http_server(answer: Answering) -> Iterator[HttpServer]:
    """A running server."""
    server = HttpServer(answer)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that hang up: some tests are about that."""


def _handler_for(server: HttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, body)
            server.received.append(received)
            self.write(server.answer(received))

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the library's names

        def write(self, response: Response) -> None:
            self.close_connection = True
            if response.raw is not None:
                self.wfile.write(response.raw)
            elif not response.hang:
                self.write_http(response)
            if response.hang:
                server.closing.wait(HANG_SECONDS)

        def write_http(self, response: Response) -> None:
            body = response.body if response.json is None else orjson.dumps(response.json)
            self.send_response(response.status)
            for name, value in {"content-length": str(len(body)), **response.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
