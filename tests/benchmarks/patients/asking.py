"""Asking a server over HTTP, and how long its answers take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from statistics import quantiles

from clinic_service.gateways.tokens import mint
from tests.benchmarks.load import Connection, UnexpectedAnswer
from tests.benchmarks.seed import SECRET

_HOUR = timedelta(hours=1)
_SERVICE = "benchmark"


def quick(seconds: Sequence[float]) -> float:
    """The first quartile: whatever else the machine does can only make an answer later."""
    return quantiles(seconds, n=4, method="inclusive")[0] if len(seconds) > 1 else seconds[0]


def person(user_id: str) -> str:
    """A token of somebody."""
    return mint(SECRET, user_id, service=False, lifetime=_HOUR)


def service() -> str:
    """A token of a service."""
    return mint(SECRET, _SERVICE, service=True, lifetime=_HOUR)


def request(method: str, address: str, token: str, body: bytes | None = None) -> bytes:
    """A whole request."""
    head = f"{method} {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Tidepool-Session-Token: {token}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Caller:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port)

    def seconds(self, asked: bytes, expected: int = 200) -> float:
        """How long the answer takes. Raises UnexpectedAnswer for another status than `expected`."""
        begin = time.perf_counter()
        status, answer = self.ask(asked)
        if status != expected:
            raise UnexpectedAnswer(answer[:400].decode("utf-8", "replace"))
        return time.perf_counter() - begin

    def ask(self, asked: bytes) -> tuple[int, bytes]:
        """Status and whole text of the answer."""
        self._connection.send(asked)
        answer = None
        while answer is None:
            answer = self._connection.receive()
        return int(answer[9:12]), answer

    def close(self) -> None:
        self._connection.socket.close()


def in_turns(makers: Mapping[int, Callable[[], float]], rounds: int) -> dict[int, list[float]]:
    """What each of `makers` measures, in turns, so that whatever else the machine does hits all of them alike."""
    found: dict[int, list[float]] = {key: [] for key in makers}
    for number in range(rounds):
        for key in makers if number % 2 else reversed(list(makers)):
            found[key].append(makers[key]())
    return found
