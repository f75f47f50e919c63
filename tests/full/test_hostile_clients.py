"""Clients that mean harm, or hang, against a server with its real deadlines; others are served all the while."""

from __future__ import annotations

import resource
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, serving

HOST = b"Host: localhost\r\n"
GET = b"GET /v1/clinics HTTP/1.1\r\n" + HOST
POST = b"POST /v1/clinics HTTP/1.1\r\n" + HOST
# The largest answer that needs no token.
LARGE = b"GET /docs/scalar/standalone.js HTTP/1.1\r\n" + HOST + b"\r\n"
HEALTHY_SECONDS = 1.0
MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8000), hard))
    with serving(tmp_path) as server:
        yield server


class Watch:
    """Asks for `/live` and `/ready` several times a second and remembers what took longest, or failed."""

    def __init__(self, server: ServerProcess) -> None:
        self.slowest = 0.0
        self.failures: list[str] = []
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            for path in ("/live", "/ready"):
                begin = time.monotonic()
                try:
                    status = self._server.get(path).status
                    if status != 200:
                        self.failures.append(f"{path}: {status}")
                except OSError as error:
                    self.failures.append(f"{path}: {type(error).__name__}")
                self.slowest = max(self.slowest, time.monotonic() - begin)

    def require_health(self) -> None:
        assert self.failures == []
        assert self.slowest < HEALTHY_SECONDS


def connect(server: ServerProcess, *, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(60)
    client.connect(("127.0.0.1", server.port))
    return client


def seconds_until_closed(client: socket.socket, begin: float) -> tuple[float, bytes]:
    """When the server closed the connection, counted from `begin`, and what it sent before."""
    received = b""
    try:
        while part := client.recv(1 << 16):
            received += part
    except ConnectionResetError:
        pass
    client.close()
    return time.monotonic() - begin, received


def is_established(client: socket.socket) -> bool:
    """Whether the server has not closed the connection, judged without reading from it."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


def test_silent_connections(server: ServerProcess) -> None:
    """More of them than a process holds: the oldest go at once, the others when their time is over."""
    with Watch(server) as watch:
        silent = [connect(server) for _ in range(2500)]
        begin = time.monotonic()
        ended = [seconds_until_closed(client, begin) for client in silent]
    watch.require_health()
    assert {received for _, received in ended} == {b""}
    # Those for which there was no room have gone before.
    assert ended[0][0] < 1
    assert 9.5 <= ended[-1][0] <= 11


def test_stalled_bodies(server: ServerProcess) -> None:
    with Watch(server) as watch:
        begin = time.monotonic()
        clients = [connect(server) for _ in range(200)]
        for client in clients:
            client.sendall(POST + b"Content-Type: application/json\r\nContent-Length: 90\r\n\r\n{")
        ended = [seconds_until_closed(client, begin) for client in clients]
    watch.require_health()
    assert {received.split(b"\r\n")[0] for _, received in ended} == {b"HTTP/1.1 408 Request Timeout"}
    assert all(29.9 <= seconds <= 33 for seconds, _ in ended)


@pytest.mark.parametrize(
    ("request_head", "deadline"), [(GET + b"X-Slow: ", 10), (POST + b"Content-Length: 8000\r\n\r\n", 30)]
)
def test_requests_that_come_byte_by_byte(server: ServerProcess, request_head: bytes, deadline: int) -> None:
    with Watch(server) as watch:
        begin = time.monotonic()
        clients = [connect(server) for _ in range(500 if deadline == 10 else 200)]
        for client in clients:
            client.sendall(request_head)
        waiting, answered = set(clients), list[float]()
        while waiting and time.monotonic() - begin < deadline + 5:
            for client in list(waiting):
                client.sendall(b"a")
                ready, _, _ = select.select([client], [], [], 0)
                if ready:
                    assert client.recv(100).startswith(b"HTTP/1.1 408 ")
                    answered.append(time.monotonic() - begin)
                    waiting.discard(client)
            time.sleep(0.2)
    watch.require_health()
    for client in clients:
        client.close()
    assert waiting == set()
    assert deadline - 0.1 <= min(answered) <= max(answered) <= deadline + 2


def test_answers_that_nobody_reads(server: ServerProcess) -> None:
    with Watch(server) as watch:
        begin = time.monotonic()
        clients = [connect(server, receive_buffer=4096) for _ in range(20)]
        for client in clients:
            client.sendall(LARGE * 10)
        while any(map(is_established, clients)) and time.monotonic() - begin < 60:
            time.sleep(0.1)
        seconds = time.monotonic() - begin
    for client in clients:
        client.close()
    watch.require_health()
    assert 29.9 <= seconds <= 33


def test_more_unread_answers_than_memory_is_for(server: ServerProcess) -> None:
    before = server.memory()
    largest = 0
    with Watch(server) as watch:
        clients = [connect(server, receive_buffer=4096) for _ in range(900)]
        for client in clients:
            client.sendall(LARGE * 3)
        for _ in range(100):
            largest = max(largest, server.memory())
            time.sleep(0.1)
    for client in clients:
        client.close()
    watch.require_health()
    assert largest - before <= 128 * MIB


def test_connections_that_come_and_go(server: ServerProcess) -> None:
    with Watch(server) as watch:
        for number in range(10_000):
            client = connect(server)
            if number % 3:
                client.sendall(GET[: number % len(GET)])
            client.close()
    watch.require_health()


def test_large_bodies_of_strangers(server: ServerProcess) -> None:
    """They are refused before they are read, so that they cost next to nothing."""
    body = b'{"name": "' + b"a" * 900_000 + b'"}'
    head = POST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    before = _cpu_seconds(server)
    with Watch(server) as watch:
        for _ in range(100):
            client = connect(server)
            client.sendall(head + body)
            _, received = seconds_until_closed(client, 0)
            assert received.startswith(b"HTTP/1.1 401 ")
    watch.require_health()
    assert (_cpu_seconds(server) - before) / 100 < 0.05


def _cpu_seconds(server: ServerProcess) -> float:
    values = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / 100
