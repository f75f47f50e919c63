"""Disks that are full or read-only, of the database and of the audit files: the server says so, and works on afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import create_engine, make_url, text

from clinic_service.db import schema
from clinic_service.db.engine import normal_url
from tests.conftest import SECRET
from tests.support.cast import SERVICE
from tests.support.disks import small_disk
from tests.support.outages import (
    NOT_READY,
    READY_AGAIN,
    WRITES,
    Servers,
    Watch,
    assert_whole,
    prepare,
    report,
    status,
    wait_for,
)
from tests.support.postgresql import own_server
from tests.support.processes import ServerProcess, run_command
from tests.support.tokens import token_of
from tests.support.write_load import WriteLoad

# Room for the database of SQLite, or for a database of PostgreSQL, which begins with about 8 MB.
_MEGABYTES = 48
Change = Callable[[], None]


def execute(url: str, *statements: str) -> None:
    """Send statements of administration to the server of PostgreSQL."""
    engine = create_engine(normal_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@contextmanager
def on_small_disk(engine_name: str, tmp_path: Path, stack: ExitStack) -> Iterator[tuple[str, Change, Change]]:
    """The URL of a database on a small disk, and what fills and empties the disk."""
    if engine_name == "sqlite":
        disk = stack.enter_context(small_disk(tmp_path / "disk", _MEGABYTES))
        yield f"sqlite:///{disk.folder / 'clinics.db'}", disk.fill, disk.empty
        return
    server = stack.enter_context(own_server())
    # Its write-ahead log is on another disk, as it should be: PostgreSQL stops when that one is full.
    folder = Path(make_url(server.url).query["host"]).parent / "disk"  # type: ignore[arg-type]  # one host
    disk = stack.enter_context(small_disk(folder, _MEGABYTES))
    place = disk.folder / "tables"
    place.mkdir()
    shutil.chown(place, "embedded_postgres", "embedded_postgres")
    execute(server.url, f"CREATE TABLESPACE small LOCATION '{place}'", "CREATE DATABASE clinics TABLESPACE small")
    yield make_url(server.url).set(database="clinics").render_as_string(hide_password=False), disk.fill, disk.empty


def assert_outage(
    servers: Servers, load: WriteLoad, begin: Change, end: Change, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between `begin` and `end` nothing is ready and everything lives. Any answer other than 503 ends the load."""
    [server] = servers.all
    with Watch(server) as watch:
        for _ in range(2):
            load.wait_for(WRITES)
            begin()
            down = wait_for(lambda: status(server, "/ready") == 503)
            end()
            up = wait_for(lambda: status(server, "/ready") == 200)
            load.wait_for(WRITES)
    report(
        capsys, f"{name}: {load.acknowledged} acknowledged writes, not ready after {down:.1f} s, again after {up:.1f} s"
    )
    assert watch.failures == []
    assert (down < NOT_READY, up < READY_AGAIN) == (True, True)


def test_the_disk_of_the_database_is_full(
    engine_name: str, tmp_path: Path, random: Random, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        url, fill, empty = stack.enter_context(on_small_disk(engine_name, tmp_path, stack))
        prepare(url)
        servers = Servers(tmp_path, url, 1)
        stack.callback(servers.end)
        with WriteLoad(servers.sends(), random) as load:
            assert_outage(servers, load, fill, empty, f"full disk, {engine_name}", capsys)
        assert_whole(url, servers.audit, load)


def test_postgresql_becomes_read_only(tmp_path: Path, random: Random, capsys: pytest.CaptureFixture[str]) -> None:
    """As after a failover to a standby, or by a provider when its disk is nearly full."""
    with ExitStack() as stack:
        own = stack.enter_context(own_server())
        prepare(own.url)
        servers = Servers(tmp_path, own.url, 1)
        stack.callback(servers.end)

        def switch(on: str) -> Change:
            return lambda: own.set({"default_transaction_read_only": on})

        with WriteLoad(servers.sends(), random) as load:
            assert_outage(servers, load, switch("on"), switch("off"), "read-only, postgresql", capsys)
        assert_whole(own.url, servers.audit, load)


def test_the_disk_of_the_audit_files_is_full(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is recorded in a file, such as a read of patients, is not answered then."""
    prepare(database_url)
    with small_disk(tmp_path / "disk", 1) as disk:
        settings = {
            "CLINIC_DATABASE_URL": database_url,
            "CLINIC_SESSION_SECRET": SECRET,
            "CLINIC_AUDIT_FOLDER": str(disk.folder / "audit"),
        }
        server = ServerProcess(tmp_path, **settings)
        try:
            server.wait_until_live()
            patients, service = "/v1/clinics/65f1c0de0a1b2c3d4e5f6a7b/patients", token_of(SERVICE)
            assert server.get(patients, service).status == 200
            disk.fill()
            down = wait_for(lambda: status(server, "/ready") == 503)
            # The file has some room until its last block is full.
            wait_for(lambda: server.get(patients, service).status == 503)
            answer = server.get(patients, service)
            assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)
            assert server.get("/live").status == 200
            assert "No space left on device" in server.errors.read_text()
            disk.empty()
            up = wait_for(lambda: status(server, "/ready") == 200)
            assert server.get(patients, service).status == 200
            assert server.stop() == 0
            verified = run_command(tmp_path, "audit", "verify", **settings)
        finally:
            server.kill()
    report(capsys, f"full disk of audit files: not ready after {down:.1f} s, ready again after {up:.1f} s")
    assert verified.returncode == 0, verified.stdout
    assert (down < NOT_READY, up < READY_AGAIN) == (True, True)


def test_a_server_does_not_start_where_it_cannot_write(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        url = f"sqlite:///{disk.folder / 'clinics.db'}"
        schema.upgrade(url)
        disk.forbid_writing()
        for settings, words in (
            ({"CLINIC_DATABASE_URL": url, "CLINIC_AUDIT": "off"}, "this user may not write in its folder"),
            ({"CLINIC_AUDIT_FOLDER": str(disk.folder / "audit")}, "The audit files cannot be written"),
        ):
            refused = run_command(tmp_path, "serve", "--port", "0", CLINIC_SESSION_SECRET=SECRET, **settings)
            assert refused.returncode != 0
            assert words in refused.stderr
