"""The PostgreSQL server of the tests: processes of a run share it, and it ends with the last of them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.processes import ROOT

_USER = """
import sys
from pathlib import Path
from tests.support.postgresql import postgresql_server
with postgresql_server(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def user(shared: Path) -> subprocess.Popen[str]:
    """A process that uses the server until its input ends."""
    command = [sys.executable, "-W", "ignore", "-c", _USER, str(shared)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while folder.exists():
        assert time.monotonic() < deadline, "the server's folder is still there"
        time.sleep(0.01)


def test_processes_that_are_killed_leave_no_server_behind(tmp_path: Path) -> None:
    processes = [user(tmp_path) for _ in range(2)]
    try:
        url, same = map(url_of, processes)
        assert url == same
        processes[0].kill()
        processes[0].wait()
        # The other one still needs it.
        psycopg.connect(url).close()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    # The folder goes when the server has ended.
    wait_until_gone(Path(url.partition("?host=")[2]).parent)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
