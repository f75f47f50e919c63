"""A link to PostgreSQL that breaks at a statement that a test chooses: the proxy understands the messages of both sides."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

from sqlalchemy import make_url

from tests.support.links import connected, through


class Break(StrEnum):
    """How the link breaks."""

    # The statement does not reach the server.
    CUT_BEFORE = "cut-before"
    # The server has carried it out, and its answer does not come back.
    CUT_AFTER = "cut-after"
    # As CUT_BEFORE, but with a TCP reset.
    RESET = "reset"
    # The statement does not reach the server, and both sides keep their connections.
    STALL = "stall"


# Messages of the client that let the server carry out a statement: a simple query, and the execution of a prepared one.
_QUERY, _EXECUTE = b"Q", b"E"
_READY = b"Z"
_NO_LINGER = struct.pack("ii", 1, 0)


class BreakingLink:
    """Passes on messages, counts statements since `arm`, and breaks the connection that sends the chosen one."""

    def __init__(self, database_url: str) -> None:
        self._url = make_url(database_url)
        self._lock = threading.Lock()
        self._left: int | None = None
        self._how = Break.CUT_BEFORE
        self.statements = 0
        self.is_broken = False
        self._door = socket.create_server(("127.0.0.1", 0))
        # Without a question for encryption, which is no message.
        plain = self._url.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
        self.url = through(plain, self._door.getsockname()[1])
        threading.Thread(target=self._welcome, daemon=True).start()

    def arm(self, number: int, how: Break) -> None:
        """Break at the statement of this number, counted from 1 and from now. 0: only count."""
        with self._lock:
            self.statements, self.is_broken = 0, False
            self._left, self._how = number or None, how

    def disarm(self) -> None:
        """Break no further statement."""
        with self._lock:
            self._left = None

    def close(self) -> None:
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                threading.Thread(target=self._serve, args=(client, connected(self._url)), daemon=True).start()

    def _break_here(self) -> Break | None:
        with self._lock:
            self.statements += 1
            if self._left != self.statements:
                return None
            self._left, self.is_broken = None, True
            return self._how

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        answers = _Answers(server, client)
        threading.Thread(target=answers.pass_on, daemon=True).start()
        with suppress(OSError, EOFError), client, server:
            server.sendall(_untyped(client))
            while True:
                kind, message = _typed(client)
                how = self._break_here() if kind in (_QUERY, _EXECUTE) else None
                if how is Break.STALL:
                    # Until the client gives up.
                    client.recv(1)
                    return
                if how is Break.RESET:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                if how in (Break.RESET, Break.CUT_BEFORE):
                    _shut(server)
                    return
                if how is Break.CUT_AFTER:
                    answers.swallow()
                server.sendall(message)
                if how is Break.CUT_AFTER and kind == _EXECUTE:
                    # The server carries it out when the client has asked for a synchronization.
                    while kind != b"S":
                        kind, message = _typed(client)
                        server.sendall(message)
                if how is Break.CUT_AFTER:
                    answers.wait_until_ready()
                    return


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


class _Answers:
    """Passes on the messages of the server, until they are swallowed."""

    def __init__(self, server: socket.socket, client: socket.socket) -> None:
        self._server, self._client = server, client
        self._swallowing, self._ready = threading.Event(), threading.Event()

    def swallow(self) -> None:
        """Pass on nothing that comes from now on."""
        self._swallowing.set()

    def wait_until_ready(self) -> None:
        """Return when the server has carried out what it was sent."""
        assert self._ready.wait(30)

    def pass_on(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                kind, message = _typed(self._server)
                if not self._swallowing.is_set():
                    self._client.sendall(message)
                elif kind == _READY:
                    self._ready.set()
        _shut(self._client)


def _typed(source: socket.socket) -> tuple[bytes, bytes]:
    """A message with its type, as every one but the first of the client has it. Raises EOFError at the end."""
    head = _exactly(source, 5)
    return head[:1], head + _exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def _untyped(source: socket.socket) -> bytes:
    head = _exactly(source, 4)
    return head + _exactly(source, struct.unpack("!I", head)[0] - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


@contextmanager
def breaking_link(database_url: str) -> Iterator[BreakingLink]:
    """A link to the server of the PostgreSQL database, which is not encrypted."""
    link = BreakingLink(database_url)
    try:
        yield link
    finally:
        link.close()
