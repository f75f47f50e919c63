"""The power is lost while a server writes: what was acknowledged is there afterwards, and nothing is half done.

In the moments before, writing fails as on a file system that has become read-only, and the server says so.

The power of a real disk cannot be switched off here. The disk is a file, and the file system that is on it is told to write
nothing any more; what is in the file at that moment is mounted again. So writes that are still in memory are lost, but a
disk that loses or reorders what it has been given is not simulated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.support.disks import PoweredDisk, powered_disk
from tests.support.outages import (
    KILLS,
    NOT_READY,
    READY_AGAIN,
    WRITES,
    Servers,
    Watch,
    assert_whole,
    prepare,
    report,
    shown,
    status,
    wait_for,
)
from tests.support.postgresql import durable_server
from tests.support.write_load import WriteLoad

_LOSSES = max(1, KILLS // 10)
Change = Callable[[], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PoweredDisk]:
    with powered_disk(tmp_path / "disk", tmp_path / "image", 512) as made:
        yield made


@contextmanager
def on_disk(engine_name: str, disk: PoweredDisk) -> Iterator[tuple[str, Change, Change]]:
    """The URL of a database on the disk, and what its own processes do when the power is lost and is back."""
    if engine_name == "sqlite":
        yield f"sqlite:///{disk.folder / 'clinics.db'}", lambda: None, lambda: None
        return
    with durable_server(disk.folder / "postgresql") as server:
        yield server.url, server.stop_hard, server.start


def test_what_was_acknowledged_survives_a_loss_of_power(
    engine_name: str, disk: PoweredDisk, random: Random, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        url, end_database, start_database = stack.enter_context(on_disk(engine_name, disk))
        prepare(url)
        servers = Servers(disk.folder, url, 1)
        stack.callback(servers.end)
        [server] = servers.all
        down, up = [], []
        load = stack.enter_context(WriteLoad(servers.sends(), random))
        for _ in range(_LOSSES):
            load.wait_for(WRITES)
            time.sleep(random.random() / 2)
            with Watch(server) as watch:
                disk.lose_power()
                down.append(wait_for(lambda: status(server, "/ready") == 503))
            assert watch.failures == []
            server.kill()
            end_database()
            disk.restore_power()
            start_database()
            server.start()
            up.append(wait_for(lambda: status(server, "/ready") == 200))
        load.wait_for(WRITES)
        load.__exit__()
        assert_whole(url, servers.audit, load)
    report(
        capsys,
        f"{_LOSSES} losses of power, {engine_name}: {load.acknowledged} acknowledged writes, not ready: {shown(down)}, "
        f"ready again: {shown(up)}",
    )
    assert (max(down) < NOT_READY, max(up) < READY_AGAIN) == (True, True)
