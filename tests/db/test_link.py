"""A link to PostgreSQL over which nothing comes back any more."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest
from sqlalchemy import URL, literal, make_url, select
from sqlalchemy.exc import OperationalError

from clinic_service import clock, deadline
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.unit_of_work import UnitOfWork, run

_ONE = select(literal(1).label("one"))


class Proxy:
    """Passes on what both sides send, until it is `stalled`: then nothing more comes from the server."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stalled = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _connect(self) -> socket.socket:
        folder, port = self._url.query.get("host"), self._url.port or 5432
        if not isinstance(folder, str):
            return socket.create_connection((self._url.host or "127.0.0.1", port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.{self._url.query.get('port', port)}")
        return server

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                if not (is_answer and self.stalled.is_set()):
                    target.sendall(data)


@pytest.fixture
def proxy(postgresql_url: str) -> Iterator[Proxy]:
    made = Proxy(make_url(postgresql_url))
    yield made
    made.close()


@pytest.fixture
def database(postgresql_url: str, proxy: Proxy) -> Iterator[Database]:
    url = make_url(postgresql_url).set(host="127.0.0.1", port=proxy.port, query={})
    made = Database(url.render_as_string(hide_password=False))
    yield made
    made.dispose()


def ask(database: Database, *, writes: bool) -> int:
    def work(unit: UnitOfWork) -> int:
        return int(unit.execute(_ONE).scalar_one())

    return run(database, work, writes=writes)


@pytest.mark.parametrize("writes", [False, True], ids=["reading", "writing"])
def test_nobody_waits_beyond_the_deadline_of_the_request(database: Database, proxy: Proxy, writes: bool) -> None:
    assert ask(database, writes=writes) == 1
    proxy.stalled.set()
    with deadline.limited(0.2), pytest.raises(Unavailable):
        ask(database, writes=writes)
    proxy.stalled.clear()
    # The connection whose answer is missing is not used again.
    assert ask(database, writes=writes) == 1


def test_without_a_request_it_ends_when_the_server_should_have_ended_it(
    database: Database, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write_engine.connect() as connection:
        connection.execute(_ONE)
        proxy.stalled.set()
        # Each time that the clock is asked, ten seconds have passed.
        seconds = count(0, 10)
        monkeypatch.setattr(clock, "monotonic", lambda: float(next(seconds)))
        with pytest.raises(OperationalError):
            connection.execute(_ONE)
    assert 20 <= next(seconds) < 60
