"""Clients that ask for the same thing again and again: `python -m tests.support.greedy PORT PATH BYTES_A_SECOND TOKEN…`.

There is a connection for each token. Answers are read at once when BYTES_A_SECOND is 0, else at this rate on each
connection. The process ends when its input does; then it prints how many answers it got of each status, as JSON.
"""

from __future__ import annotations

import re
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import orjson

from tests.support.processes import ROOT

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PART = 1 << 18
_PAUSE = 0.05


class Greedy:
    """One connection. A new request follows each answer."""

    def __init__(self, port: int, path: str, token: str, rate: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.socket = socket.socket()
        if rate:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Tidepool-Session-Token: {token}\r\n\r\n".encode()
        self._part = int(rate * _PAUSE) or _PART
        self._send()

    def _send(self) -> None:
        self._head, self._left = b"", 0
        self.socket.sendall(self._request)

    def read(self) -> bool:
        """Take a part of the answer. Returns whether the server still keeps the connection."""
        try:
            part = self.socket.recv(self._part)
        except ConnectionResetError:
            part = b""
        if self._left:
            self._left -= len(part)
        else:
            self._head += part
            head, end, body = self._head.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if not end or length is None:
                return bool(part)
            self.statuses[int(head[9:12])] += 1
            self._left = int(length[1]) - len(body)
        if part and not self._left:
            self._send()
        return bool(part)


def _run(port: int, path: str, rate: int, tokens: Sequence[str]) -> None:
    clients = {client.socket.fileno(): client for client in (Greedy(port, path, token, rate) for token in tokens)}
    living = set(clients)
    while True:
        ready, _, _ = select.select([sys.stdin.fileno(), *living], [], [], 1)
        if sys.stdin.fileno() in ready:
            break
        living -= {number for number in ready if not clients[number].read()}
        if rate:
            time.sleep(_PAUSE)
    total = sum((client.statuses for client in clients.values()), Counter[int]())
    sys.stdout.write(orjson.dumps({str(status): number for status, number in total.items()}).decode())


@contextmanager
def greedy(port: int, path: str, tokens: Sequence[str], *, rate: int = 0) -> Iterator[dict[str, int]]:
    """Greedy clients for the time of the block. After it, the value has the numbers of their answers by status."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.greedy", str(port), path, str(rate), *tokens]
    answers: dict[str, int] = {}
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield answers
        finally:
            output, _ = process.communicate(timeout=60)
            answers.update(orjson.loads(output or b"{}"))


if __name__ == "__main__":
    _run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:])
