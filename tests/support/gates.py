"""A gate in a thread of the test, in front of a small application, and clients that send bytes to it."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clinic_service.api.exchange import RawAnswer
from clinic_service.db.readiness import Health
from clinic_service.errors import ServiceError
from clinic_service.server.connection import Connection
from clinic_service.server.gate import Gate
from clinic_service.server.limits import Limits

HOST = b"Host: localhost\r\n"
GET = b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n"
# A deadline has passed after this time for sure; nothing in a test takes so long when all is well.
MAX_WAIT = 20


class SmallApp:
    """Answers with what it was asked, and does as the path says."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.release = threading.Event()
        self.started = threading.Semaphore(0)
        self.admits: int | RawAnswer = 1 << 20
        self.answer_size = 1 << 20

    def admit(self, environ: dict[str, Any]) -> RawAnswer | int:
        self.seen.append(environ)
        return self.admits

    def answer(self, environ: dict[str, Any]) -> RawAnswer:
        self.seen.append(environ)
        path = environ["PATH_INFO"]
        if path == "/wait":
            self.started.release()
            self.release.wait(MAX_WAIT)
        if path == "/large":
            return RawAnswer(200, b"x" * self.answer_size)
        if path == "/ready":
            return RawAnswer(503 if environ["clinic_service.ready"] is Health.UNAVAILABLE else 200)
        body = environ["wsgi.input"].read()
        return RawAnswer(200, f"{environ['REQUEST_METHOD']} {path} ".encode() + body)

    def caller_key(self, environ: dict[str, Any]) -> str:
        return str(environ.get("HTTP_X_CALLER", ""))

    def refuse(self, refusal: ServiceError, _environ: dict[str, Any]) -> RawAnswer:
        retry = [("Retry-After", "1")] if refusal.status == 503 else []
        return RawAnswer(refusal.status, refusal.message.encode(), retry)


class Served:
    """A gate that serves `app` on `port`."""

    def __init__(self, app: SmallApp, port: int, gate: Gate, loop: asyncio.AbstractEventLoop) -> None:
        self.app, self.port, self.gate = app, port, gate
        self._loop = loop
        self._clients: list[socket.socket] = []

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A new connection; a small `receive_buffer` makes it a client that takes little."""
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(MAX_WAIT)
        client.connect(("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    def hang_up(self) -> None:
        """Close the connections that are still open."""
        for client in self._clients:
            client.close()

    def exchange(self, raw: bytes) -> bytes:
        """Everything that comes back on a connection of its own, up to its end."""
        with self.connect() as client:
            client.sendall(raw)
            return read_all(client)

    def get(self, path: str) -> int:
        """The status of the answer to a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=MAX_WAIT)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def on_loop(self, call: Callable[[], Any]) -> Any:
        """The result of `call` on the event loop."""

        async def called() -> Any:
            return call()

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(MAX_WAIT)


@contextmanager
def serving_gate(
    limits: Limits | None = None,
    *,
    threads: int = 1,
    health: Callable[[], Health] = lambda: Health.OK,
    app: SmallApp | None = None,
) -> Iterator[Served]:
    """A gate with these limits, for the time of the block."""
    app = app or SmallApp()
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    made: list[Gate] = []
    running = threading.Event()

    async def serve() -> None:
        gate = Gate(app, limits or Limits(), threads=threads, health=health)
        made.append(gate)
        server = await loop.create_server(lambda: Connection(gate), sock=listener)
        running.set()
        try:
            await gate.watch()
        finally:
            server.close()
            gate.abort()

    task = loop.create_task(serve())

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.run_until_complete(asyncio.sleep(0))
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert running.wait(MAX_WAIT)
    served = Served(app, listener.getsockname()[1], made[0], loop)
    try:
        yield served
    finally:
        served.hang_up()
        app.release.set()
        loop.call_soon_threadsafe(task.cancel)
        thread.join(MAX_WAIT)


def read_all(client: socket.socket) -> bytes:
    """Everything up to the end of the connection; a connection that is reset has ended as well."""
    parts = []
    while True:
        try:
            part = client.recv(1 << 16)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def wait_until(holds: Callable[[], object]) -> None:
    """Return once `holds` is true. Raises AssertionError when it does not become so."""
    end = time.monotonic() + MAX_WAIT
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
