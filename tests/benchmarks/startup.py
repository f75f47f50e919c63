"""From the command to the first answer of a real operation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.load import UnexpectedAnswer, exchange
from tests.benchmarks.processes import OURS, ServerFailed, running

_PATIENCE_SECONDS = 15


class StartUp(NamedTuple):
    """`seconds` on the clock, and how many of them its processes were computing; the rest went to other programs."""

    seconds: float
    cpu_seconds: float


def start_up(database_url: str, folder: Path, request: bytes) -> StartUp:
    """What `clinic-service serve`, on a database that is up to date, takes to answer `request`."""
    begin = time.monotonic()
    with running(OURS, database_url, folder) as server:
        while time.monotonic() - begin < _PATIENCE_SECONDS:
            if _is_answered(server.port, request):
                return StartUp(time.monotonic() - begin, server.cpu_seconds())
            time.sleep(0.01)
        raise ServerFailed(server.log.read_text(encoding="utf-8", errors="replace")[-2000:])


def _is_answered(port: int, request: bytes) -> bool:
    try:
        return exchange(port, request)[0] == 200
    except (OSError, UnexpectedAnswer):
        return False
