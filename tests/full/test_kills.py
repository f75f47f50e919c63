"""Servers that are killed under write load, and PostgreSQL that is stopped hard: nothing acknowledged is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.support.databases import create_database
from tests.support.outages import (
    KILLS,
    NOT_READY,
    READY_AGAIN,
    WRITES,
    Servers,
    Watch,
    assert_whole,
    kill,
    prepare,
    report,
    shown,
    status,
    wait_for,
)
from tests.support.postgresql import OwnServer, own_server
from tests.support.write_load import WriteLoad


def test_killed_servers_lose_nothing(
    database_url: str, tmp_path: Path, random: Random, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(database_url)
    servers = Servers(tmp_path, database_url, 1 if database_url.startswith("sqlite") else 2)
    try:
        with WriteLoad(servers.sends(), random) as load:
            times = []
            for _ in range(KILLS):
                load.wait_for(WRITES)
                time.sleep(random.random() / 2)
                times.append(kill(random.choice(servers.all)))
            load.wait_for(WRITES)
        assert_whole(database_url, servers.audit, load)
    finally:
        servers.end()
    report(capsys, f"{KILLS} kills, {load.acknowledged} acknowledged writes, ready again: {shown(times)}")
    assert max(times) < READY_AGAIN


@pytest.fixture
def own() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


def test_postgresql_stopped_hard_loses_nothing(
    own: OwnServer, tmp_path: Path, random: Random, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(create_database(own.url))
        prepare(url)
        servers = Servers(tmp_path, url, 2)
        stack.callback(servers.end)
        down, up = [], []
        load = stack.enter_context(WriteLoad(servers.sends(), random))
        with Watch(servers.all[0]) as watch:
            for _ in range(max(1, KILLS // 10)):
                load.wait_for(WRITES)
                time.sleep(random.random() / 2)
                stopping = threading.Thread(target=own.stop_hard)
                stopping.start()
                down.append(wait_for(lambda: status(servers.all[0], "/ready") == 503))
                stopping.join()
                time.sleep(random.random())
                own.start()
                up.append(wait_for(lambda: all(status(server, "/ready") == 200 for server in servers.all)))
            load.wait_for(WRITES)
        load.__exit__()
        assert_whole(url, servers.audit, load)
    report(
        capsys,
        f"{len(up)} stops of PostgreSQL, {load.acknowledged} acknowledged writes, not ready: {shown(down)}, "
        f"ready again: {shown(up)}",
    )
    assert watch.failures == []
    assert (max(down) < NOT_READY, max(up) < READY_AGAIN) == (True, True)
