"""Starting servers, and reading from /proc what they use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.peers.settings import DATABASE_URL_VARIABLE, SECRET_VARIABLE
from tests.benchmarks.seed import SECRET

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_START_SECONDS = 20
_STOP_SECONDS = 20
_PROJECT = Path(__file__).parents[2]
_PEERS = "tests.benchmarks.peers"

OURS, IDIOMATIC, TUNED, FLOOR = "clinic-service", "FastAPI, idiomatic", "FastAPI, tuned", "WSGI floor"
SERVERS = (OURS, IDIOMATIC, TUNED, FLOOR)
MOCK = "clinic-service mock"


class ServerFailed(Exception):
    """A server did not come up, or went away; the message holds the end of its log."""


class Server(NamedTuple):
    """A running server: where it listens, and its first process."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        return _cpu_seconds(self.process.pid)

    def cpu_seconds_when_idle(self) -> float:
        """The same, once they have nothing left to do."""
        before, unchanged = self.cpu_seconds(), 0
        for _ in range(150):
            time.sleep(0.02)
            now = self.cpu_seconds()
            unchanged = unchanged + 1 if now == before else 0
            before = now
            if unchanged == 3:
                break
        return before

    def resident_bytes(self) -> int:
        """What the largest of its processes has in memory."""
        return max(int(_read(pid, "statm").split()[1]) * _PAGE for pid in self.processes())

    def processes(self) -> list[int]:
        """The ids of all its processes."""
        return list(_family(self.process.pid))


def _cpu_seconds(pid: int) -> float:
    ticks = 0
    for member in _family(pid):
        # The second field is a name in parentheses, which may hold blanks.
        values = _read(member, "stat").rpartition(")")[2].split()
        ticks += int(values[11]) + int(values[12])
    return ticks / _TICKS


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in _read(pid, f"task/{pid}/children").split():
        yield from _family(int(child))


def _read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")


@contextmanager
def running(
    name: str, database_url: str, folder: Path, *, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The server `name`, asked to stop in the end. It may not listen yet. Raises ServerFailed."""
    port = _free_port()
    log = folder / f"{name.split()[-1]}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *_command(name, port, database_url)],
            cwd=_PROJECT,
            env=_environment(database_url) | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(port, process, log)
    finally:
        _stop(process)


@contextmanager
def all_running(
    variants: Mapping[str, tuple[str, Mapping[str, str]]], database_url: str, folder: Path
) -> Iterator[dict[str, Server]]:
    """Servers on one database, which take connections. `variants` has the server and the settings of each name."""
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(running(server, database_url, folder, settings=settings))
            for name, (server, settings) in variants.items()
        }
        for server in servers.values():
            wait_until_listening(server)
        yield servers


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(name: str, port: int, database_url: str) -> list[str]:
    threads = "1" if database_url.startswith("sqlite") else "2"
    uvicorn = ["-m", "uvicorn", "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    return {
        OURS: ["-m", "clinic_service", "serve", "--port", str(port), "--threads", threads],
        MOCK: ["-m", "clinic_service", "mock", "--port", str(port)],
        IDIOMATIC: [*uvicorn, f"{_PEERS}.idiomatic:app"],
        TUNED: [*uvicorn, f"{_PEERS}.tuned:app"],
        FLOOR: ["-m", f"{_PEERS}.gate", f"{_PEERS}.floor:app", str(port), threads],
    }[name]


def _environment(database_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    return kept | {
        "CLINIC_DATABASE_URL": database_url,
        DATABASE_URL_VARIABLE: database_url,
        SECRET_VARIABLE: SECRET,
        "CLINIC_SESSION_SECRET": SECRET,
        # Waiting for the disk is the same for all servers and would hide how they differ.
        "CLINIC_SQLITE_SYNCHRONOUS": "NORMAL",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_listening(server: Server) -> None:
    """Return once connections are taken. Raises ServerFailed."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise ServerFailed(server.log.read_text(encoding="utf-8", errors="replace")[-2000:])
