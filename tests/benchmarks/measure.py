"""CPU per request of each server, measured in turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from statistics import median

from clinic_service.db.engine import Database
from tests.benchmarks.load import Crowd
from tests.benchmarks.operations import Operation
from tests.benchmarks.processes import Server
from tests.benchmarks.sealing import wait_for_sealing

_WARM_UP_SECONDS = 0.3

Costs = dict[str, float]


def measure(
    servers: Mapping[str, Server],
    operations: list[Operation],
    *,
    database_url: str,
    rounds: int,
    seconds: float,
    most_seconds: float,
) -> dict[str, list[Costs]]:
    """For each operation, what a request cost each server in each round; no round begins after `most_seconds`."""
    until = time.monotonic() + most_seconds
    gc.disable()
    _warm_up(servers, operations)
    wait_until_idle = partial(wait_for_sealing, Database(database_url))
    return _measure_rounds(servers, operations, wait_until_idle, rounds=rounds, seconds=seconds, until=until)


def _warm_up(servers: Mapping[str, Server], operations: list[Operation]) -> None:
    """Let every server do every operation for a moment, so that nothing is done for the first time later."""
    for operation in operations:
        for server in servers.values():
            with ExitStack() as stack:
                Crowd(server.port, operation.requests, stack).ask_for(_WARM_UP_SECONDS)


def _measure_rounds(
    servers: Mapping[str, Server],
    operations: list[Operation],
    wait_until_idle: Callable[[], None],
    *,
    rounds: int,
    seconds: float,
    until: float,
) -> dict[str, list[Costs]]:
    """No round begins after the time `until`.

    `wait_until_idle` returns when the work that requests have left behind is done.
    """
    found: dict[str, list[Costs]] = {operation.name: [] for operation in operations}
    for number in range(rounds):
        if number and time.monotonic() > until:
            break
        for operation in operations:
            found[operation.name].append(_measure_round(servers, operation, wait_until_idle, seconds))
    return found


def _measure_round(
    servers: Mapping[str, Server], operation: Operation, wait_until_idle: Callable[[], None], seconds: float
) -> Costs:
    """CPU seconds per request of each server: one window in the order of the servers, one in the opposite order."""
    used, answered = dict.fromkeys(servers, 0.0), dict.fromkeys(servers, 0)
    for name in [*servers, *reversed(list(servers))]:
        with ExitStack() as stack:
            crowd = Crowd(servers[name].port, operation.requests, stack)
            wait_until_idle()
            before = servers[name].cpu_seconds_when_idle()
            answered[name] += crowd.ask_for(seconds)
            wait_until_idle()
            used[name] += servers[name].cpu_seconds_when_idle() - before
    return {name: used[name] / answered[name] for name in servers}


def median_cost(rounds: list[Costs], name: str) -> float:
    """The cost in the middle, seconds per request."""
    return median(costs[name] for costs in rounds)


def median_ratio(rounds: list[Costs], name: str, other: str) -> float:
    """How many times the cost of `other` the cost of `name` is; formed inside each round."""
    return median(costs[name] / costs[other] for costs in rounds)
