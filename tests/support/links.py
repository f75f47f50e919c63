"""A link to a server that can fall silent: it takes what is sent, and nothing comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url
from sqlalchemy.engine import URL


class Link:
    """Passes on what comes in at `port` to the server that `connect` reaches, for as long as it is not stalled."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._welcome, daemon=True).start()

    def stall(self) -> None:
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def close(self) -> None:
        self._flows.set()
        for each in (self._door, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._door.accept()
                server = self._connect()
                self._sockets += [caller, server]
                for source, sink in ((caller, server), (server, caller)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def linked(database_url: str) -> Iterator[tuple[Link, str]]:
    """A link to the server of the PostgreSQL database, and the URL of the database through it."""
    url = make_url(database_url)
    link = Link(lambda: connected(url))
    try:
        yield link, through(url, link.port)
    finally:
        link.close()


def through(url: URL, port: int) -> str:
    """`url` with another port of this machine."""
    other = url.difference_update_query(["host"]).set(host="127.0.0.1", port=port)
    return other.render_as_string(hide_password=False)


def connected(url: URL) -> socket.socket:
    """A connection to the server at `url`."""
    folder = url.query.get("host")
    if not folder:
        return socket.create_connection((url.host or "127.0.0.1", url.port or 5432))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{folder}/.s.PGSQL.{url.port or 5432}")
    return server
