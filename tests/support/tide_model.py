"""What a TIDE report has to say, in plain Python over the summaries as they were sent, and made-up clinics to ask about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from clinic_service import clock
from clinic_service.models.statistics import FIELDS
from tests.support.tide import CUTOFF, DEFAULTS, HOUR, MILLISECOND, NOW, OTHERS

Figures = Mapping[str, Any]
MOST, MOST_WITHOUT_DATA = 100, 50
PERIODS = ("7d", "14d")
TAGS = ("Pump", "Insulin", "Pregnant")
_OLD = 8 * HOUR


@dataclass(frozen=True)
class Person:
    """A patient: tags by name, the summary of continuous data, and sources as pairs of provider and state."""

    name: str
    tags: frozenset[str]
    summary: Mapping[str, Any] | None
    sources: Sequence[tuple[str, str]]

    @property
    def last_data(self) -> datetime | None:
        text = self.dates.get("lastData")
        return None if text is None or text.startswith("0001-") else clock.from_wire(text)

    @property
    def dates(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self.summary or {}).get("dates", {})
        return found

    def figures(self, period: str) -> Figures:
        found: Figures = (self.summary or {}).get("periods", {}).get(period, {})
        return found


@dataclass(frozen=True)
class Asked:
    """The question of a report; tags by name."""

    period: str
    tags: Sequence[str]
    cutoff: datetime
    categories: Sequence[str]
    with_no_data: bool


def _above(name: str, limit: float) -> Callable[[Figures], bool]:
    return lambda figures: name in figures and figures[name] > limit


def _below(name: str, limit: float) -> Callable[[Figures], bool]:
    return lambda figures: name in figures and figures[name] < limit


def _at_least(name: str, limit: float) -> Callable[[Figures], bool]:
    return lambda figures: name in figures and figures[name] >= limit


_VERY_LOW, _ANY_LOW = _above("timeInVeryLowPercent", 0.01), _above("timeInAnyLowPercent", 0.04)
_VERY_HIGH, _ANY_HIGH = _above("timeInVeryHighPercent", 0.05), _above("timeInAnyHighPercent", 0.25)
_EXTREME_HIGH = _at_least("timeInExtremeHighPercent", 0.01)
_TROUBLES = (_VERY_LOW, _ANY_LOW, _VERY_HIGH, _ANY_HIGH, _EXTREME_HIGH)


def _meets_targets(figures: Figures) -> bool:
    in_target, in_use = _at_least("timeInTargetPercent", 0.7), _at_least("timeCGMUsePercent", 0.7)
    return in_target(figures) and in_use(figures) and not any(trouble(figures) for trouble in _TROUBLES)


# Who belongs to a category, the figure that sorts it, and whether high ones come first.
_CATEGORIES: dict[str, tuple[Callable[[Figures], bool], str, bool]] = {
    "timeInVeryLowPercent": (_VERY_LOW, "timeInVeryLowPercent", True),
    "timeInAnyLowPercent": (_ANY_LOW, "timeInAnyLowPercent", True),
    "timeInVeryHighPercent": (_VERY_HIGH, "timeInVeryHighPercent", True),
    "timeInAnyHighPercent": (_ANY_HIGH, "timeInAnyHighPercent", True),
    "dropInTimeInTargetPercent": (_below("timeInTargetPercentDelta", -0.15), "timeInTargetPercentDelta", False),
    "timeCGMUsePercent": (_below("timeCGMUsePercent", 0.7), "timeCGMUsePercent", False),
    "meetingTargets": (_meets_targets, "timeInTargetPercent", True),
    "timeInTargetPercent": (_below("timeInTargetPercent", 0.7), "timeInTargetPercent", False),
    "timeInExtremeHighPercent": (_EXTREME_HIGH, "timeInExtremeHighPercent", True),
}


def expected(people: Sequence[Person], asked: Asked) -> dict[str, list[str]]:
    """The names by category; `people` in order of their creation."""
    tagged = [person for person in people if person.tags >= set(asked.tags)]
    waiting = [person for person in tagged if person.last_data and person.last_data >= asked.cutoff]
    found: dict[str, list[str]] = {}
    left = MOST
    for category in dict.fromkeys(asked.categories):
        fits, figure, descending = _CATEGORIES[category]
        members = [person for person in waiting if fits(person.figures(asked.period))]
        # Sorting keeps the order of equal ones, upside down too.
        members.sort(key=lambda person: person.figures(asked.period)[figure], reverse=descending)
        found[category] = [person.name for person in members[:left]]
        left -= len(found[category])
        waiting = [person for person in waiting if person.name not in found[category]]
    return found | {"noData": _without_data(tagged, asked)} if asked.with_no_data else found


def _without_data(tagged: Sequence[Person], asked: Asked) -> list[str]:
    never = [person.name for person in tagged if person.last_data is None]
    old = [(person.last_data, person) for person in tagged if person.last_data and person.last_data < NOW - _OLD]
    missed = [(time, person) for time, person in old if time < asked.cutoff or _is_broken(person)]
    missed.sort(key=lambda pair: pair[0])
    return [*never, *(person.name for _, person in missed)][:MOST_WITHOUT_DATA]


def _is_broken(person: Person) -> bool:
    return any(provider == "dexcom" and state != "connected" for provider, state in person.sources)


# Figures on both sides of every limit, and on it, so that patients are many in the same place.
_VALUES: dict[str, Sequence[float]] = {
    "timeInVeryLowPercent": (0, 0.0099, 0.01, 0.0101, 0.3),
    "timeInAnyLowPercent": (0, 0.0399, 0.04, 0.0401, 0.5),
    "timeInVeryHighPercent": (0, 0.0499, 0.05, 0.0501, 0.6),
    "timeInAnyHighPercent": (0, 0.2499, 0.25, 0.2501, 0.9),
    "timeInExtremeHighPercent": (0, 0.0099, 0.01, 0.0101, 0.2),
    "timeInTargetPercent": (0, 0.6999, 0.7, 0.7001, 1),
    "timeInTargetPercentDelta": (-0.9, -0.1501, -0.15, -0.1499, 0, 0.4),
    "timeCGMUsePercent": (0, 0.6999, 0.7, 0.7001, 1),
}
# The same without what would keep anybody from meeting the targets.
_GOOD: dict[str, Sequence[float]] = {
    name: [value for value in values if value >= 0.7 or name not in ("timeInTargetPercent", "timeCGMUsePercent")][:3]
    for name, values in _VALUES.items()
}
_FLAGS = {field.name: field.flag for field in FIELDS if field.flagged}
_TIMES = (
    *(CUTOFF + shift for shift in (-MILLISECOND, timedelta(0), MILLISECOND)),
    *(NOW - _OLD + shift for shift in (-MILLISECOND, timedelta(0), MILLISECOND)),
    NOW - 24 * HOUR,
    NOW - 48 * HOUR,
)
_SOURCES = ("dexcom", "abbott", "twiist")
_STATES = ("connected", "disconnected", "error", "pending")


def random_people(random: Random, count: int) -> list[Person]:
    return [_person(random, f"{number}") for number in range(count)]


def _person(random: Random, name: str) -> Person:
    tags = frozenset(tag for tag in TAGS if random.random() < 0.8)
    sources = [(random.choice(_SOURCES), random.choice(_STATES)) for _ in range(random.choice((0, 0, 1, 2)))]
    return Person(name, tags, None if random.random() < 0.05 else _summary(random), sources)


def _summary(random: Random) -> dict[str, Any]:
    values = _GOOD if random.random() < 0.4 else _VALUES
    periods = {period: _figures(random, values) for period in PERIODS if random.random() < 0.9}
    return {"periods": periods, **({} if random.random() < 0.05 else {"dates": _dates(random)})}


def _figures(random: Random, values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Each may be missing; flags stand as sent, whatever they say."""
    rarely = random.choice((0.05, 0.3))
    figures: dict[str, Any] = {name: random.choice(some) for name, some in values.items() if random.random() > rarely}
    return figures | {flag: random.random() < 0.7 for name, flag in _FLAGS.items() if name in _VALUES}


def _dates(random: Random) -> dict[str, Any]:
    dates = {"hasLastData": random.random() < 0.8}
    if random.random() < 0.1:
        return random.choice((dates, {**dates, "lastData": "0001-01-01T00:00:00Z"}))
    minutes = timedelta(minutes=random.randrange(30 * 1440))
    return {**dates, "lastData": clock.to_wire(random.choice((*_TIMES, NOW - minutes, NOW - minutes)))}


def random_question(random: Random) -> Asked:
    categories = [*DEFAULTS, *OTHERS]
    return Asked(
        period=random.choice(PERIODS),
        tags=random.sample(TAGS, random.choice((1, 1, 2, 3))),
        cutoff=random.choice((CUTOFF, CUTOFF, NOW - 48 * HOUR, NOW - _OLD, NOW + HOUR)),
        categories=random.choice((DEFAULTS, random.sample(categories, 9), random.choices(categories, k=5))),
        with_no_data=random.random() < 0.8,
    )
