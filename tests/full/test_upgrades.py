"""Upgrades of the schema: of a database with data, and by a newer program while servers of this one write.

UPGRADE_PATIENTS in the environment tells how many patients the database has: 2,000 unless it is set.
"""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection, MetaData, Table, select

from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.db.transfer.source import snapshot_of
from clinic_service.demo.load import load_clinic
from tests.support.newer_program import UNFIT, NewerProgram
from tests.support.outages import (
    NOT_READY,
    READY_AGAIN,
    SLOWNESS,
    WRITES,
    Servers,
    Watch,
    assert_whole,
    prepare,
    report,
    status,
    wait_for,
)
from tests.support.processes import ServerProcess
from tests.support.write_load import WriteLoad

PATIENTS = int(os.environ.get("UPGRADE_PATIENTS", "2000"))
STEP_SECONDS = (10 if PATIENTS <= 2000 else 60) * SLOWNESS
# The first revision after the initial series. What an earlier one takes back would delete the data.
OLDEST = 13


def found_in(url: str) -> dict[str, tuple[int, str]]:
    """The number and a digest of the rows of every table, whatever the revision and the order of the columns are."""
    with snapshot_of(url) as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        return {
            table.name: _digest(connection, table)
            for table in metadata.sorted_tables
            if table.name not in schema.BOOKKEEPING
        }


def _digest(connection: Connection, table: Table) -> tuple[int, str]:
    columns = sorted(table.columns, key=lambda column: column.name)
    number, digest = 0, sha256()
    for row in connection.execute(select(*columns).order_by(*table.primary_key)):
        number += 1
        digest.update(repr(row).encode())
    return number, digest.hexdigest()


def test_upgrades_keep_the_data(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema.upgrade(database_url)
    database = Database(database_url, sqlite_synchronous="NORMAL")
    load_clinic(database, name="Made-up", patients=PATIENTS, random=Random(1), progress=lambda _: None)
    database.dispose()
    schema.downgrade(database_url, f"{OLDEST:04d}")
    before, times = found_in(database_url), []
    assert before["patients"][0] == PATIENTS
    for number in range(OLDEST + 1, int(schema.head()) + 1):
        began = time.monotonic()
        schema.upgrade(database_url, f"{number:04d}")
        times.append(time.monotonic() - began)
    after = found_in(database_url)
    report(capsys, f"{len(times)} revisions on {PATIENTS} patients, at most {max(times):.1f} s each")
    assert {name: after[name] for name in before} == before
    assert max(times) < STEP_SECONDS


class Refusals:
    """Sends requests as a server does, and counts the answers that are no success."""

    def __init__(self, server: ServerProcess) -> None:
        self.number = 0
        self._server = server

    def __call__(self, *request: object) -> object:
        answer = self._server.request(*request)  # type: ignore[arg-type]
        self.number += answer.status >= 400
        return answer


def test_a_newer_program_upgrades_while_servers_write(
    database_url: str, tmp_path: Path, random: Random, capsys: pytest.CaptureFixture[str]
) -> None:
    """Servers of this program work on. They are told when the newer schema needs more than they know."""
    prepare(database_url)
    servers = Servers(tmp_path, database_url, 2)
    first, second = servers.all
    counted = [Refusals(server) for server in servers.all]
    try:
        with WriteLoad(counted, random) as load, Watch(first) as watch:  # type: ignore[arg-type]
            load.wait_for(WRITES)
            fit = NewerProgram(tmp_path / "fit")
            fit.upgrade(database_url)
            load.wait_for(WRITES)
            assert [status(server, "/ready") for server in servers.all] == [200, 200]
            assert [one.number for one in counted] == [0, 0]
            fit.downgrade(database_url)
            unfit = NewerProgram(tmp_path / "unfit", UNFIT)
            unfit.upgrade(database_url)
            down = wait_for(lambda: status(first, "/ready") == status(second, "/ready") == 503)
            unfit.downgrade(database_url)
            up = wait_for(lambda: status(first, "/ready") == status(second, "/ready") == 200)
            load.wait_for(WRITES)
        assert_whole(database_url, servers.audit, load)
    finally:
        servers.end()
    report(capsys, f"{load.acknowledged} acknowledged writes, not ready after {down:.1f} s, again after {up:.1f} s")
    assert watch.failures == []
    assert (down < NOT_READY, up < READY_AGAIN) == (True, True)
