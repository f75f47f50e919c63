"""A server as an operating system meets it: signals, dead parents, closed streams, addresses."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SECRET
from tests.support.cast import SERVICE
from tests.support.gates import MAX_WAIT, wait_until
from tests.support.processes import COMMAND, ServerProcess, environment, free_port, run_command, serving
from tests.support.tokens import token_of


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and that are still there."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestSeveralProcesses:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[ServerProcess]:
        with serving(tmp_path, "--workers", "2", TMPDIR=str(tmp_path)) as server:
            yield server

    def test_end_when_their_parent_is_killed(self, server: ServerProcess) -> None:
        workers = children(server.process.pid)
        assert len(workers) == 2
        server.process.kill()
        server.process.wait()
        wait_until(lambda: is_free(server.port))
        wait_until(lambda: not any(map(is_alive, workers)))

    def test_are_replaced_when_they_die(self, server: ServerProcess) -> None:
        first, second = children(server.process.pid)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(set(children(server.process.pid)) - {first}) == 2)
        assert second in children(server.process.pid)
        assert server.get("/live").status == 200

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_stop_together_and_leave_nothing(
        self, server: ServerProcess, tmp_path: Path, number: signal.Signals
    ) -> None:
        workers = children(server.process.pid)
        silent = socket.create_connection(("127.0.0.1", server.port))
        # As a terminal does it: every process gets the signal.
        for pid in [server.process.pid, *workers]:
            os.kill(pid, number)
        assert server.process.wait(MAX_WAIT) == 0
        silent.close()
        assert not any(map(is_alive, workers))
        assert list(tmp_path.glob("clinic-service-metrics-*")) == []


class TestStopping:
    def test_does_not_wait_for_idle_connections(self, tmp_path: Path) -> None:
        with serving(tmp_path, CLINIC_DRAIN_SECONDS="600") as server:
            idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
            for connection in idle[:10]:
                connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            assert server.stop() == 0
            for connection in idle:
                connection.close()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_while_starting_leaves_no_process(self, tmp_path: Path, number: signal.Signals) -> None:
        """The application is being built when the key is there: its spec is read by a child, and nothing listens yet."""
        process = subprocess.Popen(
            [*COMMAND, "serve", "--workers", "2", "--port", str(free_port())],
            cwd=tmp_path,
            env=environment({"TMPDIR": str(tmp_path)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        wait_until((tmp_path / "clinic-service.key").exists)
        os.killpg(process.pid, number)
        output, errors = process.communicate(timeout=MAX_WAIT)
        assert (output, b"Traceback" in errors) == (b"", False)
        wait_until(lambda: not _group_lives(process.pid))
        assert list(tmp_path.glob("clinic-service-metrics-*")) == []


def _group_lives(group: int) -> bool:
    # A group that has no process left cannot be sent anything.
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class TestAddress:
    def test_is_printed_once_the_server_listens(self, tmp_path: Path) -> None:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(free_port())],
            cwd=tmp_path,
            env=environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout
            address = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert address
            socket.create_connection(("127.0.0.1", int(address[1]))).close()
        finally:
            process.terminate()
            process.communicate()

    @pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
    def test_of_version_6_is_a_usable_url(self, tmp_path: Path) -> None:
        server = ServerProcess(tmp_path, "--host", "::1")
        try:
            wait_until(lambda: f"http://[::1]:{server.port}" in server.output.read_text())
            connection = socket.create_connection(("::1", server.port))
            connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            connection.close()
        finally:
            server.stop()

    def test_that_is_not_of_this_machine_is_an_error_in_one_line(self, tmp_path: Path) -> None:
        ended = run_command(tmp_path, "serve", "--port", "0", "--host", "192.0.2.1")
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
        assert "192.0.2.1" in ended.stderr


class TestStreams:
    """Standard error full, closed, or read by nobody any more: every answer is as it would be without."""

    @pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2> >(exit)", ">&- 2>&-", ">/dev/full"])
    def test_that_take_nothing_change_no_answer(self, tmp_path: Path, redirection: str) -> None:
        port = free_port()
        command = f'exec "$@" {redirection}'
        process = subprocess.Popen(
            ["bash", "-c", command, "bash", *COMMAND, "serve", "--port", str(port)],
            cwd=tmp_path,
            env=environment({"CLINIC_SESSION_SECRET": SECRET}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = ServerProcess.__new__(ServerProcess)
        server.port, server.process = port, process
        try:
            wait_until(lambda: process.poll() is not None or not is_free(port))
            assert [server.get("/v1/clinics", token_of(SERVICE)).status for _ in range(5)] == [200] * 5
            assert server.get("/v1/clinics").status == 401
        finally:
            process.terminate()
            process.wait(MAX_WAIT)
