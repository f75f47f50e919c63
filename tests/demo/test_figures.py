"""Made-up figures fit together, as measured ones do."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from clinic_service.demo.figures import figures, habits
from clinic_service.models.statistics import BGM, CGM, DELTA, FIELDS, TYPES

PARTS = ("VeryLow", "Low", "Target", "High", "VeryHigh")


@pytest.fixture(params=range(20))
def random(request: pytest.FixtureRequest) -> Random:
    return Random(request.param)


def _made(kind: str, random: Random, days: int = 14) -> dict[str, Any]:
    return figures(kind, random, habits(random), days)


@pytest.mark.parametrize("kind", TYPES)
def test_every_reading_is_in_one_range(kind: str, random: Random) -> None:
    made = _made(kind, random)
    assert sum(made[f"timeIn{part}Records"] for part in PARTS) == made["totalRecords"] > 0
    assert sum(made[f"timeIn{part}Percent"] for part in PARTS) == pytest.approx(1)
    assert min(made[f"timeIn{part}Records"] for part in PARTS) >= 0


@pytest.mark.parametrize("unit", ["Records", "Percent"])
@pytest.mark.parametrize("kind", TYPES)
def test_wide_ranges_are_made_of_narrow_ones(kind: str, unit: str, random: Random) -> None:
    made = _made(kind, random)
    assert made[f"timeInAnyLow{unit}"] == pytest.approx(made[f"timeInVeryLow{unit}"] + made[f"timeInLow{unit}"])
    assert made[f"timeInAnyHigh{unit}"] == pytest.approx(made[f"timeInVeryHigh{unit}"] + made[f"timeInHigh{unit}"])
    assert made[f"timeInExtremeHigh{unit}"] <= made[f"timeInVeryHigh{unit}"]


@pytest.mark.parametrize("days", [1, 7, 14, 30])
def test_nobody_wears_a_monitor_longer_than_all_the_time(days: int, random: Random) -> None:
    made = _made(CGM, random, days)
    assert 0 < made["timeCGMUsePercent"] <= 1
    assert made["timeCGMUseMinutes"] <= days * 1440
    assert made["hoursWithData"] <= 24 * days
    assert made["daysWithData"] <= days
    assert made["min"] < made["averageGlucoseMmol"] < made["max"]


@pytest.mark.parametrize("kind", TYPES)
def test_flags_say_what_there_is(kind: str, random: Random) -> None:
    made = _made(kind, random)
    for field in FIELDS:
        if kind not in field.flagged:
            continue
        is_count = field.name.endswith(("Records", "Minutes")) and field.name != "averageDailyRecords"
        assert made[field.flag] == (made[field.name] > 0 if is_count else field.name in made), field.name


def test_the_indicator_needs_enough_use() -> None:
    usual = habits(Random(1))
    seldom = figures(CGM, Random(2), replace(usual, use=0.5), 14)
    assert "glucoseManagementIndicator" not in seldom
    assert seldom["hasGlucoseManagementIndicator"] is False
    assert figures(CGM, Random(2), replace(usual, use=1.0), 14)["hasGlucoseManagementIndicator"] is True


def test_a_period_without_readings_has_only_what_is_required() -> None:
    made = figures(BGM, Random(3), replace(habits(Random(3)), checks=0.0), 7)
    assert made["totalRecords"] == made["daysWithData"] == made["min"] == made["minDelta"] == 0
    assert not any(made[name] for name in made if name.startswith("has"))
    assert not [name for name in made if name.removesuffix(DELTA).endswith("Percent") and not name.startswith("has")]
