"""Starts a server in a process of its own and waits until it is ready."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

_START_SECONDS = 120
_STOP_SECONDS = 20
_PAUSE_SECONDS = 0.02
# What the server prints as soon as clients can connect.
_ADDRESS = re.compile(r"http://\S+(?=\s)")
# Settings and filters of warnings that are meant for the tests must not apply to the server.
_NOT_PASSED_ON = ("CLINIC_", "PROMETHEUS_", "PYTHONWARNINGS")


class NotStarted(Exception):
    """The server did not become ready. The message has what it wrote."""


@contextmanager
def running(folder: Path, *arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """`clinic-service ARGUMENTS` with nothing but `settings`, on a free port, until the block ends; gives its base URL.

    `folder` is its working directory, and gets what it prints. Raises NotStarted.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    output, log = folder / "output.txt", folder / "log.txt"
    with output.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "clinic_service.testing.child", *arguments],
            cwd=folder,
            env={**environ, **(settings or {}), "CLINIC_PORT": "0"},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
        )
    try:
        if not (url := _url_when_ready(process, output)):
            raise NotStarted(f"clinic-service {' '.join(arguments)} did not start:\n{log.read_text(errors='replace')}")
        yield url
    finally:
        _stop(process)


def get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """The status and the body of a GET request; the body is None when it is empty. Raises OSError without an answer."""
    parts = urlsplit(url)
    # Not through a proxy, which the environment may name.
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers or {}))
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, orjson.loads(body) if body else None
    finally:
        connection.close()


def _url_when_ready(process: subprocess.Popen[bytes], output: Path) -> str | None:
    """The base URL; None when the process has ended or is not ready in time."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        printed = _ADDRESS.search(output.read_text(errors="replace"))
        if printed and get(f"{printed[0]}/ready")[0] == 200:
            return printed[0]
        time.sleep(_PAUSE_SECONDS)
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
