"""SIGHUP: the server takes over changed settings from files while it answers requests."""

from __future__ import annotations

import http.client
import json
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.cast import SERVICE
from tests.support.gates import wait_until
from tests.support.processes import ServerProcess, serving
from tests.support.tokens import token_of

OLD, NEW = "the old secret of these tests, long enough", "the new secret of these tests, long enough"


def token(secret: str) -> str:
    return token_of(SERVICE, secret)


def secret_file(folder: Path) -> Path:
    file = folder / "secret"
    file.write_text(OLD)
    return file


class Clients:
    """Clients that ask without a pause, each on one connection as long as the server keeps it."""

    def __init__(self, port: int, number: int) -> None:
        self.answered, self.failed = 0, list[str]()
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            while not self._stop.is_set():
                try:
                    connection.request("GET", "/live")
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 200:
                        self.failed.append(str(answer.status))
                    self.answered += 1
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(repr(error))
                    connection.close()


def accepts(server: ServerProcess, secret: str) -> bool:
    return server.get("/v1/clinics", token(secret)).status == 200


def reload_messages(server: ServerProcess) -> list[str]:
    lines = [json.loads(line) for line in server.errors.read_text().splitlines()]
    return [line["message"] for line in lines if line.get("message", "").startswith("reload")]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_replaces_the_secret_without_a_failed_request(tmp_path: Path, workers: str) -> None:
    file = secret_file(tmp_path)
    with serving(tmp_path, "--workers", workers, CLINIC_SESSION_SECRET_FILE=str(file)) as server:
        assert accepts(server, OLD)
        assert not accepts(server, NEW)
        clients = Clients(server.port, 3)
        file.write_text(NEW)
        server.process.send_signal(signal.SIGHUP)
        # With two processes, each of them answers some of these.
        wait_until(lambda: all(accepts(server, NEW) and not accepts(server, OLD) for _ in range(10)))
        clients.stop()
        assert clients.failed == []
        assert clients.answered > 0
        assert reload_messages(server) == ["reloaded"]
        assert server.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_keeps_the_settings_when_the_new_ones_cannot_be_used(tmp_path: Path, workers: str) -> None:
    file = secret_file(tmp_path)
    with serving(tmp_path, "--workers", workers, CLINIC_SESSION_SECRET_FILE=str(file)) as server:
        file.write_text("short")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: reload_messages(server) == ["reload_failed"])
        assert accepts(server, OLD)
        line = next(line for line in server.errors.read_text().splitlines() if "reload_failed" in line)
        assert "CLINIC_SESSION_SECRET" in json.loads(line)["reason"]
        file.write_text(NEW)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: all(accepts(server, NEW) for _ in range(10)))


def test_every_line_of_standard_error_is_json(tmp_path: Path) -> None:
    """At the first start, which makes the database, while serving, and when a process dies."""
    with serving(tmp_path, "--workers", "2") as server:
        # A setting is missing, which is told before the log has its thread.
        assert "redox_secret_missing" in server.errors.read_text()
        server.get("/nowhere")
        server.kill_workers()
        wait_until(lambda: "is replaced" in server.errors.read_text())
        lines = server.errors.read_text().splitlines()
    assert len(lines) >= 3
    assert [line for line in lines if not isinstance(json.loads(line), dict)] == []


@pytest.mark.parametrize(
    ("variable", "value", "status"), [("CLINIC_HOST", "203.0.113.7", 1), ("CLINIC_WORKERS", "x", 2)]
)
def test_a_start_that_fails_says_so_in_json(tmp_path: Path, variable: str, value: str, status: int) -> None:
    server = ServerProcess(tmp_path, **{variable: value})
    assert server.process.wait(60) == status
    (line,) = server.errors.read_text().splitlines()
    assert json.loads(line)["level"] == "CRITICAL"
    assert variable in json.loads(line)["message"] or value in json.loads(line)["message"]
