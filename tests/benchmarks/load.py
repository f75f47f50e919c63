"""The client: raw keep-alive connections, as cheap as they get, so that the server has the machine."""

from __future__ import annotations

import re
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack

CONNECTIONS = 16
_ANSWER_SECONDS = 20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class UnexpectedAnswer(Exception):
    """An answer that is not a 200, or none at all."""


class Connection:
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._wanted = 0

    def send(self, request: bytes) -> None:
        self._received, self._wanted = b"", 0
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Take what has arrived; the whole answer once it is complete."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise UnexpectedAnswer("the server closed the connection")
        self._received = self._received + part if self._received else part
        if not self._wanted:
            self._wanted = _whole_length(self._received)
        return self._received if self._wanted and len(self._received) >= self._wanted else None

    def has_received(self) -> bool:
        """Take what has arrived, and tell whether the answer is complete. Raises UnexpectedAnswer when it is not a 200."""
        answer = self.receive()
        if answer is not None and answer[9:12] != b"200":
            raise UnexpectedAnswer(answer[:400].decode("utf-8", "replace"))
        return answer is not None

    def fileno(self) -> int:
        return self.socket.fileno()


def _whole_length(received: bytes) -> int:
    """The length of the answer with its head, 0 while the head is not complete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 0
    length = _LENGTH.search(received, 0, end)
    if length is None:
        raise UnexpectedAnswer(f"an answer without a length: {received[:200]!r}")
    return end + 4 + int(length[1])


def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one request on a connection of its own."""
    connection = Connection(port)
    try:
        connection.send(request)
        answer = None
        while answer is None:
            answer = connection.receive()
    finally:
        connection.socket.close()
    return int(answer[9:12]), answer.partition(b"\r\n\r\n")[2]


class Crowd:
    """Several connections to one server, open and warm."""

    def __init__(self, port: int, requests: Iterator[bytes], stack: ExitStack) -> None:
        self._requests = requests
        self._by_number: dict[int, Connection] = {}
        self._ready = stack.enter_context(select.epoll())
        for _ in range(CONNECTIONS):
            connection = Connection(port)
            stack.callback(connection.socket.close)
            self._by_number[connection.socket.fileno()] = connection
            self._ready.register(connection.socket, select.EPOLLIN)
        self.ask_for(0)

    def ask_for(self, seconds: float) -> int:
        """Keep every connection asking for so long; tells how many requests were answered."""
        for connection in self._by_number.values():
            connection.send(next(self._requests))
        answered, waiting, end = 0, len(self._by_number), time.monotonic() + seconds
        while waiting:
            ready = self._ready.poll(_ANSWER_SECONDS)
            if not ready:
                raise UnexpectedAnswer(f"no answer in {_ANSWER_SECONDS} seconds")
            goes_on = time.monotonic() < end
            for number, _ in ready:
                connection = self._by_number[number]
                if not connection.has_received():
                    continue
                answered += 1
                if goes_on:
                    connection.send(next(self._requests))
                else:
                    waiting -= 1
        return answered

    def ask_at(self, rate: float, seconds: float) -> list[float]:
        """Send `rate` requests per second, however long the answers take. Returns the seconds that each request took.

        A request counts from the moment at which it was due, also when no connection was free then.
        """
        begin = time.monotonic()
        due = deque(begin + number / rate for number in range(round(rate * seconds)))
        free, sent, took = list(self._by_number.values()), dict[Connection, float](), list[float]()
        while due or sent:
            while due and free and due[0] <= time.monotonic():
                connection = free.pop()
                connection.send(next(self._requests))
                sent[connection] = due.popleft()
            pause = max(0, due[0] - time.monotonic()) if due and free else _ANSWER_SECONDS
            # The times of `epoll` are whole milliseconds.
            for connection in select.select(list(sent), [], [], pause)[0]:
                if connection.has_received():
                    took.append(time.monotonic() - sent.pop(connection))
                    free.append(connection)
        return took
