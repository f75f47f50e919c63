"""Made-up glucose statistics that are consistent: shares add up, and each change is the difference of two periods."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, erf, exp, log, sqrt
from random import Random
from typing import Any

from clinic_service.models.statistics import CGM, DELTA, FIELDS, TYPES

# The bounds between the ranges in mmol/L, from very low to extremely high.
_BOUNDS = (3.0, 3.9, 10.0, 13.9, 19.4)
_LOG_BOUNDS = tuple(map(log, _BOUNDS))
_RANGES = ("VeryLow", "Low", "AnyLow", "Target", "High", "VeryHigh", "ExtremeHigh", "AnyHigh")
_READINGS_A_DAY = 288
_MINUTES_OF_A_READING = 5
# The least and the greatest value that meters and monitors can show, in mmol/L.
_LEAST, _MOST = 2.2, 22.2
_MGDL_OF_A_MMOL = 18.018
# The least share of time with a monitor for which the glucose management indicator is computed.
_USE_OF_AN_ESTIMATE = 0.7
_WITHOUT_FLAG = frozenset(field.name for field in FIELDS if not field.flagged)


def _is_count(name: str) -> bool:
    return name.endswith(("Records", "Minutes")) and name != "averageDailyRecords"


# For each type of summary its statistics: the name, the name of the change, the name of the flag or None, and whether the
# flag is set by a value above zero instead of by any value.
_FIGURES = {
    kind: [
        (f.name, f.name + DELTA, f.flag if kind in f.flagged else None, _is_count(f.name))
        for f in FIELDS
        if kind in f.types
    ]
    for kind in TYPES
}


@dataclass(frozen=True, slots=True)
class Habits:
    """The typical data of one person over months.

    `mean` is the mean glucose in mmol/L, `variation` its coefficient of variation (0 to 1), `use` the share of time with a
    monitor (0 to 1), `checks` the number of readings by meter a day.
    """

    mean: float
    variation: float
    use: float
    checks: float


def habits(random: Random) -> Habits:
    """The habits of a new person, drawn from `random`."""
    return Habits(
        mean=min(max(random.lognormvariate(2.15, 0.18), 5.2), 18.0),
        variation=random.triangular(0.18, 0.5, 0.3),
        use=min(random.betavariate(6, 1.2), 1.0),
        checks=random.uniform(0.3, 8.0),
    )


def figures(kind: str, random: Random, usual: Habits, days: int) -> dict[str, Any]:
    """The statistics of a period of `days` days in a summary of type `kind`, by their names on the wire.

    `usual` are the habits of the person.
    """
    now, before = _measured(kind, random, usual, days), _measured(kind, random, usual, days)
    made: dict[str, Any] = {}
    for name, change, flag, is_count in _FIGURES[kind]:
        value = now.get(name)
        if value is not None:
            made[name] = value
            earlier = before.get(name)
            if earlier is not None:
                made[change] = value - earlier
        if flag is not None:
            made[flag] = value > 0 if is_count and value is not None else value is not None
    return made


def _measured(kind: str, random: Random, usual: Habits, days: int) -> dict[str, Any]:
    """All statistics that can be computed for one period, by name."""
    mean = usual.mean * random.uniform(0.88, 1.12)
    variation = usual.variation * random.uniform(0.9, 1.1)
    if kind == CGM:
        readings = round(days * _READINGS_A_DAY * min(usual.use * random.uniform(0.9, 1.05), 1.0))
    else:
        readings = round(days * usual.checks * random.uniform(0.5, 1.5))
    made: dict[str, Any] = _spread(mean, variation, readings) if readings else dict.fromkeys(_WITHOUT_FLAG, 0)
    made["daysWithData"] = min(days, readings)
    made["totalRecords"] = readings
    if readings:
        made["averageDailyRecords"] = readings / days
    _add_ranges(made, _counts(mean, variation, readings), readings)
    if kind == CGM:
        _add_use(made, readings, days)
    return made


def _spread(mean: float, variation: float, readings: int) -> dict[str, Any]:
    # The extremes of a sample lie farther from the mean, the more readings there are.
    reach = variation * sqrt(2 * log(1 + readings))
    return {
        "averageGlucoseMmol": mean,
        "standardDeviation": mean * variation,
        "coefficientOfVariation": variation,
        "min": max(mean * exp(-reach), _LEAST),
        "max": min(mean * exp(reach), _MOST),
    }


def _counts(mean: float, variation: float, readings: int) -> tuple[int, ...]:
    """The number of readings in each of `_RANGES`. The readings are taken as log-normally distributed."""
    middle, width = log(mean) - variation * variation / 2, variation * sqrt(2)
    very_low, low, in_target, high, not_extreme = (
        round(readings * (1 + erf((bound - middle) / width)) / 2) for bound in _LOG_BOUNDS
    )
    return (
        very_low,
        low - very_low,
        low,
        in_target - low,
        high - in_target,
        readings - high,
        readings - not_extreme,
        readings - in_target,
    )


def _add_ranges(made: dict[str, Any], counts: tuple[int, ...], readings: int) -> None:
    for (percent, records, minutes), count in zip(_RANGE_NAMES, counts, strict=True):
        made[records] = count
        made[minutes] = count * _MINUTES_OF_A_READING
        if readings:
            made[percent] = count / readings


_RANGE_NAMES = [tuple(f"timeIn{name}{unit}" for unit in ("Percent", "Records", "Minutes")) for name in _RANGES]


def _add_use(made: dict[str, Any], readings: int, days: int) -> None:
    share = readings / (days * _READINGS_A_DAY)
    made["timeCGMUsePercent"] = share
    made["timeCGMUseRecords"] = readings
    made["timeCGMUseMinutes"] = readings * _MINUTES_OF_A_READING
    made["hoursWithData"] = min(24 * days, ceil(readings * _MINUTES_OF_A_READING / 60))
    if share >= _USE_OF_AN_ESTIMATE:
        made["glucoseManagementIndicator"] = 3.31 + 0.02392 * _MGDL_OF_A_MMOL * made["averageGlucoseMmol"]
