"""Real server processes on the loopback address."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import Any, NamedTuple

import orjson

ROOT = Path(__file__).parents[2]
# Only a server that never comes up meets this limit.
_START_SECONDS = 120


class Answer(NamedTuple):
    status: int
    json: Any
    headers: Mapping[str, str]


class ServerProcess:
    """A `clinic-service serve`, or `mock`, of its own, in `folder`, with no settings but those given."""

    def __init__(self, folder: Path, *arguments: str, command: str = "serve", **settings: str) -> None:
        self.port = free_port()
        self._live = settings.get("CLINIC_PATH_PREFIX", "") + "/live"
        self.output, self.errors = folder / "out.txt", folder / "err.txt"
        self._command = [*COMMAND, command, "--port", str(self.port), *arguments]
        self._folder, self._environment = folder, environment(settings)
        self.start()

    def start(self) -> None:
        """Start the process, also after it has ended: then on the same port. What it writes replaces what is there."""
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=out, stderr=err
            )

    def wait_until_live(self) -> None:
        """Raises AssertionError with what the server wrote when it does not come up."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.get(self._live).status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.errors.read_text()}")

    def get(self, path: str, token: str | None = None) -> Answer:
        return self.request("GET", path, token)

    def request(
        self,
        method: str,
        path: str,
        token: str | None = None,
        json: Any = ...,
        extra: Mapping[str, str] | None = None,
    ) -> Answer:
        """`extra` are further headers."""
        headers = {**(extra or {}), **({"X-Tidepool-Session-Token": token} if token else {})}
        body = None if json is ... else orjson.dumps(json)
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers.get("Content-Type") == "application/json"
            return Answer(answer.status, orjson.loads(text) if text and is_json else text, dict(answer.headers))
        finally:
            connection.close()

    def memory(self) -> int:
        """The resident memory of its process, in bytes."""
        return int(self._facts("statm").read_text().split()[1]) * resource.getpagesize()

    def threads(self) -> int:
        """The number of threads of its process."""
        return len(list(self._facts("task").iterdir()))

    def open_files(self) -> int:
        """The number of files and connections that its process has open."""
        return len(list(self._facts("fd").iterdir()))

    def _facts(self, name: str) -> Path:
        return Path(f"/proc/{self.process.pid}/{name}")

    def kill_workers(self) -> None:
        """End the processes that answer requests, at once and without a chance to do anything more."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in children or [str(self.process.pid)]:
            os.kill(int(pid), signal.SIGKILL)

    def kill(self) -> None:
        """End the process without a chance to do anything more."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask the server to stop; gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


COMMAND = (sys.executable, "-W", "ignore", "-m", "clinic_service")


@contextmanager
def serving(folder: Path, *arguments: str, **settings: str) -> Iterator[ServerProcess]:
    """A server that is up; ended afterwards."""
    server = ServerProcess(folder, *arguments, **settings)
    try:
        server.wait_until_live()
        yield server
    finally:
        server.process.terminate()
        try:
            server.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


def run_command(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`clinic-service ARGUMENTS` to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def spawn(folder: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """`clinic-service ARGUMENTS`, started and not waited for."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process without its own settings, and with `settings`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("CLINIC_", "PROMETHEUS_"))}
    return {**plain, **settings, "PYTHONPATH": str(ROOT)}


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until `process`, a program of another project, accepts connections. Raises AssertionError when it does not."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{process.args!r} did not start")


def free_port() -> int:
    """A port that nobody has just now, nor gets for a call: systems give callers ports from 32,768 on."""
    while True:
        port = SystemRandom().randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
