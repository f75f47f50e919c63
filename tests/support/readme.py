"""The fenced blocks of the README, and a terminal that runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import ROOT, environment

_HEADING_OR_FENCE = re.compile(r"^## ([^\n]*)$|^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Blocks that end in a server which the reader stops.
_SERVES = re.compile(r"clinic-service serve[^&\n]*\n\Z")


def blocks() -> dict[str, list[str]]:
    """The text of the blocks under each heading that has any, in order. All of them are for a shell."""
    found: dict[str, list[str]] = {}
    heading = ""
    for title, language, text in _HEADING_OR_FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        heading = title or heading
        if not title:
            assert language == "sh"
            found.setdefault(heading, []).append(text)
    return found


def assert_exchanged(printed: str) -> None:
    """The exchange with Redox came to its end: the challenge, the match and the report."""
    assert '{"challenge":"5c1c7a6e"}' in printed
    assert '"patients":[{"id":"ca401c0003"' in printed
    assert "scheduled: 202" in printed


def assert_tested(by_curl: str, by_pytest: str) -> None:
    """The tests of a client were run: against a server that a pipeline starts, and with the fixture."""
    assert '"name":"Harbour Diabetes Centre"' in by_curl
    assert "1 passed" in by_pytest


class Terminal:
    """Runs blocks with bash in `folder`, one after the other; a server in the foreground stays in a terminal of its own."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**environment({}), **variables}
        # Nothing but what a user's own shell would have.
        self._environment.pop("PYTHONPATH")
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, block: str, seconds: float, **variables: str) -> str:
        """What the block prints, once it has ended or its server is up. Raises AssertionError when it fails."""
        output = self._folder / f"block-{len(self._started)}.txt"
        with output.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-e", "-c", block],
                cwd=self._folder,
                env={**self._environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        serves = _SERVES.search(block) is not None
        deadline = time.monotonic() + seconds
        while process.poll() is None and not (serves and "API reference" in output.read_text()):
            assert time.monotonic() < deadline, f"{block} takes too long:\n{output.read_text()}"
            time.sleep(0.05)
        assert process.returncode == (None if serves else 0), f"{block} failed:\n{output.read_text()}"
        return output.read_text()

    def close(self) -> None:
        """End what still runs, with all that it started."""
        for process in self._started:
            _signal_group(process, signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


@contextmanager
def terminal(folder: Path, **variables: str) -> Iterator[Terminal]:
    """A terminal in `folder`."""
    opened = Terminal(folder, variables)
    try:
        yield opened
    finally:
        opened.close()
