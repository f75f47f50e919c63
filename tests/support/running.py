"""The server as an operator runs it: a process of its own, spoken to byte by byte."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson

from tests.support.client import Reply
from tests.support.processes import free_port

_SECONDS_TO_START = 60


class RawServer:
    """Sends bytes to a server and reads its answers."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, raw: bytes, *, hang_up: bool = False) -> Reply:
        """The answer to `raw` on a new connection; `hang_up` says that nothing more will come."""
        with self._connect() as connection:
            _send_what_is_taken(connection, raw)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            return _read(connection)

    def send_all(self, raw: bytes, answers: int) -> list[Reply]:
        """As many answers to the requests in `raw`, all on one connection."""
        with self._connect() as connection:
            connection.sendall(raw)
            # Without a buffer, so that no answer swallows the beginning of the next.
            return [_parse(_unbuffered(connection)) for _ in range(answers)]

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


def _unbuffered(connection: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(connection)
    answer.fp.close()
    answer.fp = connection.makefile("rb", buffering=0)  # type: ignore[assignment]  # typed as buffered
    return answer


def _send_what_is_taken(connection: socket.socket, raw: bytes) -> None:
    # A server that has refused a request need not listen to the rest of it.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(raw)


def _read(connection: socket.socket) -> Reply:
    return _parse(http.client.HTTPResponse(connection))


def _parse(answer: http.client.HTTPResponse) -> Reply:
    try:
        answer.begin()
        body = answer.read()
    finally:
        answer.close()
    return Reply(answer.status, orjson.loads(body) if body else None, answer.headers, body)


@contextmanager
def running_server(database_url: str, secret: str) -> Iterator[RawServer]:
    """`clinic-service serve` on a port of its own; stopped as an operator would stop it."""
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    environ |= {"CLINIC_DATABASE_URL": database_url, "CLINIC_SESSION_SECRET": secret}
    process = subprocess.Popen(
        [sys.executable, "-m", "clinic_service", "serve", "--port", str(port)],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = RawServer(port)
        _wait_for(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_for(server: RawServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        try:
            if server.send(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server did not start")
