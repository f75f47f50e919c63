"""What was found, beside what was wanted, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple


class Measurement(NamedTuple):
    """One line of the report; without a `target` it is only told."""

    what: str
    measured: float
    unit: str
    target: float | None = None
    remark: str = ""

    @property
    def is_met(self) -> bool:
        return self.target is None or self.measured <= self.target

    def line(self) -> str:
        target = "" if self.target is None else f"{self.target:g} {self.unit}"
        verdict = "" if self.is_met else "**missed**"
        return f"| {self.what} | {self.measured:.2f} {self.unit} | {target} | {verdict} | {self.remark} |"


def worst(
    what: str, values: Sequence[tuple[str, float]], unit: str, target: float, *, remark: str = ""
) -> Iterator[Measurement]:
    """The worst of several figures against the target, and the one in the middle."""
    ranked = sorted(values, key=lambda pair: pair[1], reverse=True)
    over = sum(value > target for _, value in ranked)
    names = "; ".join(f"{name} {value:.2f}" for name, value in ranked[:3])
    told = f"{over} of {len(ranked)} over; {names}" if over else f"{len(ranked)} measured; {names}"
    yield Measurement(f"{what}, worst", ranked[0][1], unit, target, f"{remark} {told}".strip())
    yield Measurement(f"{what}, median", median(value for _, value in ranked), unit)


def heading(title: str) -> list[str]:
    """The head of the report, which is a table in Markdown."""
    return [f"| {title} | measured | target | | |", "| --- | ---: | ---: | --- | --- |"]
