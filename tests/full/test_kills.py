"""Servers that are killed under write load, and PostgreSQL that is stopped hard: nothing acknowledged is lost.

CLINIC_TEST_KILLS in the environment tells how often each engine's servers are killed; PostgreSQL is stopped a tenth as
often. CLINIC_TEST_SLOWNESS multiplies the times that are allowed, for a machine that does other things as well.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

import pytest

from clinic_service.audit.trail import verify_files
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.db.files import database_file
from tests.conftest import SECRET
from tests.support.databases import create_database
from tests.support.postgresql import OwnServer, own_server
from tests.support.processes import ServerProcess
from tests.support.write_load import Send, WriteLoad, assert_stored, make_people

KILLS = int(os.environ.get("CLINIC_TEST_KILLS", "100"))
SLOWNESS = float(os.environ.get("CLINIC_TEST_SLOWNESS", "1"))
READY_AGAIN, NOT_READY = 5 * SLOWNESS, 2 * SLOWNESS
# So many writes are acknowledged between two kills.
_WRITES = 10


class Servers:
    """One server, or several on one database, with one folder of audit files."""

    def __init__(self, folder: Path, url: str, number: int) -> None:
        self.audit = folder / "audit"
        self.all = [self._make(folder / str(position), url) for position in range(number)]
        for server in self.all:
            server.wait_until_live()

    def _make(self, folder: Path, url: str) -> ServerProcess:
        folder.mkdir()
        settings = {"CLINIC_DATABASE_URL": url, "CLINIC_SESSION_SECRET": SECRET, "CLINIC_AUDIT_FOLDER": str(self.audit)}
        return ServerProcess(folder, **settings)

    def sends(self) -> list[Send]:
        """The functions that send a request to each."""
        return [server.request for server in self.all]

    def end(self) -> None:
        for server in self.all:
            server.kill()


def kill(server: ServerProcess) -> float:
    """Kill the server, start it again, and return the seconds from its start until it is ready."""
    server.kill()
    server.start()
    return wait_for(lambda: status(server, "/ready") == 200)


def status(server: ServerProcess, path: str) -> int | None:
    """The status of the answer; None when there is none."""
    try:
        return server.get(path).status
    except OSError:
        return None


def wait_for(holds: Callable[[], bool], seconds: float = 120) -> float:
    """Return when it holds: the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it did not come about"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def random(capsys: pytest.CaptureFixture[str]) -> Random:
    seed = int(os.environ.get("CLINIC_TEST_SEED", time.time_ns()))
    with capsys.disabled():
        print(f"\nCLINIC_TEST_SEED={seed}")  # noqa: T201 - so that a failure can be repeated
    return Random(seed)


def assert_whole(url: str, audit: Path, load: WriteLoad) -> None:
    """Nothing is lost or half done, the audit files are whole, and the file of SQLite is not damaged."""
    database = Database(url)
    assert_stored(database, load)
    database.dispose()
    assert list(verify_files(audit, {})) == []
    file = database_file(url)
    if file is not None:
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def report(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201 - the figures are what the test is for


def shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"median {ordered[len(ordered) // 2]:.1f} s, at most {ordered[-1]:.1f} s"


def test_killed_servers_lose_nothing(
    database_url: str, tmp_path: Path, random: Random, capsys: pytest.CaptureFixture[str]
) -> None:
    schema.upgrade(database_url)
    database = Database(database_url)
    make_people(database)
    database.dispose()
    servers = Servers(tmp_path, database_url, 1 if database_url.startswith("sqlite") else 2)
    try:
        with WriteLoad(servers.sends(), random) as load:
            times = []
            for _ in range(KILLS):
                load.wait_for(_WRITES)
                time.sleep(random.random() / 2)
                times.append(kill(random.choice(servers.all)))
            load.wait_for(_WRITES)
        assert_whole(database_url, servers.audit, load)
    finally:
        servers.end()
    report(capsys, f"{KILLS} kills, {load.acknowledged} acknowledged writes, ready again: {shown(times)}")
    assert max(times) < READY_AGAIN


class Watch:
    """Asks /live all the time, and notes each answer that is not 200."""

    def __init__(self, server: ServerProcess) -> None:
        self.failures: list[int | None] = []
        self._server, self._stop = server, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            found = status(self._server, "/live")
            if found != 200:
                self.failures.append(found)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def own() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


def test_postgresql_stopped_hard_loses_nothing(
    own: OwnServer, tmp_path: Path, random: Random, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(create_database(own.url))
        schema.upgrade(url)
        database = Database(url)
        make_people(database)
        database.dispose()
        servers = Servers(tmp_path, url, 2)
        stack.callback(servers.end)
        down, up = [], []
        load = stack.enter_context(WriteLoad(servers.sends(), random))
        with Watch(servers.all[0]) as watch:
            for _ in range(max(1, KILLS // 10)):
                load.wait_for(_WRITES)
                time.sleep(random.random() / 2)
                stopping = threading.Thread(target=own.stop_hard)
                stopping.start()
                down.append(wait_for(lambda: status(servers.all[0], "/ready") == 503))
                stopping.join()
                time.sleep(random.random())
                own.start()
                up.append(wait_for(lambda: all(status(server, "/ready") == 200 for server in servers.all)))
            load.wait_for(_WRITES)
        load.__exit__()
        assert_whole(url, servers.audit, load)
    report(
        capsys,
        f"{len(up)} stops of PostgreSQL, {load.acknowledged} acknowledged writes, not ready: {shown(down)}, "
        f"ready again: {shown(up)}",
    )
    assert watch.failures == []
    assert (max(down) < NOT_READY, max(up) < READY_AGAIN) == (True, True)
