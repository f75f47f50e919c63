"""Servers whose database or disks fail for a while: how often and how long, and what must hold afterwards.

CLINIC_TEST_KILLS in the environment tells how often servers are killed; PostgreSQL is stopped a tenth as often.
CLINIC_TEST_SLOWNESS multiplies the times that are allowed, for a machine that does other things as well.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clinic_service.audit.trail import verify_files
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.db.files import database_file
from tests.conftest import SECRET
from tests.support.cast import ALICE
from tests.support.processes import ServerProcess
from tests.support.rows import make_account, storing
from tests.support.write_load import Send, WriteLoad, assert_stored

KILLS = int(os.environ.get("CLINIC_TEST_KILLS", "100"))
SLOWNESS = float(os.environ.get("CLINIC_TEST_SLOWNESS", "1"))
READY_AGAIN, NOT_READY = 5 * SLOWNESS, 2 * SLOWNESS
# So many writes are acknowledged between two faults.
WRITES = 10


def prepare(url: str) -> None:
    """Make the tables, and the account of the person who writes."""
    schema.upgrade(url)
    database = Database(url)
    with storing(database) as unit:
        make_account(unit, ALICE)
    database.dispose()


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
