"""Flowsheet/New: the statistics of a patient's last 14 days as observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from clinic_service import clock
from clinic_service.models import BgUnits
from clinic_service.resources.ehr.redox.outgoing import Envelope

PERIOD = timedelta(days=14)
_PERIOD_NAME = "14d"
_MG_DL_IN_MMOL_L = 18.01559
_DECIMALS = 4


class _Kind(Enum):
    """How a figure is written."""

    GLUCOSE = "glucose, in mmol/L in the summary"
    DEVIATION = "a difference of glucose, in mmol/L in the summary"
    RANGE = "a share of readings or time, a fraction in the summary"
    WEAR_TIME = "a share of the period, a fraction in the summary"
    VARIATION = "deviation by mean, a fraction in the summary"
    GMI = "percent in the summary as well"
    RATE = "a number with decimals"
    COUNT = "a whole number"


_FRACTIONS = (_Kind.RANGE, _Kind.WEAR_TIME, _Kind.VARIATION)
# The number of decimals in ambulatory glucose profiles.
_PROFILE_DECIMALS = {_Kind.GLUCOSE: 1, _Kind.DEVIATION: 1, _Kind.WEAR_TIME: 2, _Kind.VARIATION: 1, _Kind.GMI: 1}


class _Figure(NamedTuple):
    """A figure of a period, and the observation that reports it."""

    code: str
    member: str
    kind: _Kind
    description: str
    unit: str | None = None


class Style(NamedTuple):
    """The format of figures for a clinic: the unit of glucose, and whether to round as ambulatory glucose profiles do."""

    units: BgUnits
    rounded: bool = False


GMI = _Figure(
    "GLUCOSE_MANAGEMENT_INDICATOR", "glucoseManagementIndicator", _Kind.GMI, "Glucose management indicator", "%"
)


def _common(suffix: str, share: str, method: str) -> tuple[_Figure, ...]:
    """The figures that both methods of measurement have."""
    ranges = (
        ("TIME_ABOVE_RANGE_VERY_HIGH", "timeInVeryHighPercent", "very high"),
        ("TIME_ABOVE_RANGE_HIGH", "timeInHighPercent", "high"),
        ("TIME_IN_RANGE", "timeInTargetPercent", "in the target range"),
        ("TIME_BELOW_RANGE_LOW", "timeInLowPercent", "low"),
        ("TIME_BELOW_RANGE_VERY_LOW", "timeInVeryLowPercent", "very low"),
    )
    return (
        *(
            _Figure(code + suffix, member, _Kind.RANGE, f"{method}: share of {share} {words}", "%")
            for code, member, words in ranges
        ),
        _Figure(f"AVERAGE{suffix}", "averageGlucoseMmol", _Kind.GLUCOSE, f"{method}: mean glucose"),
        _Figure(f"STANDARD_DEVIATION{suffix}", "standardDeviation", _Kind.DEVIATION, f"{method}: standard deviation"),
        _Figure(
            f"COEFFICIENT_OF_VARIATION{suffix}",
            "coefficientOfVariation",
            _Kind.VARIATION,
            f"{method}: coefficient of variation",
            "%",
        ),
        _Figure(f"DAYS_WITH_DATA{suffix}", "daysWithData", _Kind.COUNT, f"{method}: days with data", "day"),
    )


_CGM = (
    *_common("_CGM", "time", "CGM"),
    GMI,
    _Figure("ACTIVE_WEAR_TIME_CGM", "timeCGMUsePercent", _Kind.WEAR_TIME, "CGM: share of the period with data", "%"),
    _Figure("HOURS_WITH_DATA_CGM", "hoursWithData", _Kind.COUNT, "CGM: hours with data", "hour"),
)
_BGM = (
    *_common("_SMBG", "readings", "SMBG"),
    _Figure("READINGS_ABOVE_RANGE_VERY_HIGH_SMBG", "timeInVeryHighRecords", _Kind.COUNT, "SMBG: very high readings"),
    _Figure("READINGS_BELOW_RANGE_VERY_LOW_SMBG", "timeInVeryLowRecords", _Kind.COUNT, "SMBG: very low readings"),
    _Figure("MAX_SMBG", "max", _Kind.GLUCOSE, "SMBG: highest reading"),
    _Figure("MIN_SMBG", "min", _Kind.GLUCOSE, "SMBG: lowest reading"),
    _Figure("TOTAL_READING_COUNT_SMBG", "totalRecords", _Kind.COUNT, "SMBG: number of readings"),
    _Figure("CHECK_RATE_READINGS_DAY_SMBG", "averageDailyRecords", _Kind.RATE, "SMBG: mean number of readings a day"),
)
# A summary always has these figures, so without readings they are not sent.
_OF_READINGS = ("min", "max", "standardDeviation", "coefficientOfVariation")


def flowsheet(envelope: Envelope, summaries: Mapping[str, Any], style: Style) -> dict[str, Any] | None:
    """The message with all observations from `summaries`, a `patientSummary.v1`; None when there are none."""
    observed = observations(summaries, style)
    return envelope.message("Flowsheet", "New", Observations=observed) if observed else None


def observations(summaries: Mapping[str, Any], style: Style) -> list[dict[str, Any]]:
    """The observations of the period: first its dates, then its figures, with those of continuous monitors first."""
    return [
        *_of_method(summaries.get("cgmStats"), "_CGM", _CGM, style),
        *_of_method(summaries.get("bgmStats"), "_SMBG", _BGM, style),
    ]


def glucose_management_indicator(summaries: Mapping[str, Any], style: Style) -> str | None:
    """The indicator of the period in percent, written as in the flowsheet; None when it is not known."""
    value = _period(summaries.get("cgmStats")).get(GMI.member)
    return None if value is None else _written(value, GMI.kind, style)


def _of_method(
    stats: Mapping[str, Any] | None, suffix: str, figures: tuple[_Figure, ...], style: Style
) -> Iterator[dict[str, Any]]:
    dates, period = (stats or {}).get("dates") or {}, _period(stats)
    updated, end = _time(dates, "lastUpdatedDate"), _time(dates, "lastData")
    if not period or updated is None or end is None:
        return
    when = {"DateTime": clock.to_wire(updated)}
    for code, time, words in _dates(end, _time(dates, "firstData"), suffix):
        yield {**when, "Code": code, "Description": words, "Value": clock.to_wire(time), "ValueType": "DateTime"}
    for figure in figures:
        value = _value(period, figure)
        if value is not None:
            yield {**when, **_numeric(figure, value, style)}


def _dates(end: datetime, oldest: datetime | None, suffix: str) -> Iterator[tuple[str, datetime, str]]:
    yield f"REPORTING_PERIOD_START{suffix}", end - PERIOD, "Start of the period"
    yield f"REPORTING_PERIOD_END{suffix}", end, "End of the period"
    if oldest:
        yield f"REPORTING_PERIOD_START{suffix}_DATA", oldest, "Time of the oldest reading"


def _numeric(figure: _Figure, value: float, style: Style) -> dict[str, Any]:
    in_glucose = figure.kind in (_Kind.GLUCOSE, _Kind.DEVIATION)
    unit = str(style.units) if in_glucose else figure.unit
    observation = {
        "Code": figure.code,
        "Description": figure.description,
        "Value": _written(value, figure.kind, style),
        "ValueType": "Numeric",
    }
    return observation | ({"Units": unit} if unit else {})


def _written(value: float, kind: _Kind, style: Style) -> str:
    """The figure as text, in the unit and with the decimals of its kind."""
    if kind in (_Kind.GLUCOSE, _Kind.DEVIATION) and style.units is BgUnits.MG_DL:
        value = round(value * _MG_DL_IN_MMOL_L, 5)
    elif kind in _FRACTIONS:
        value *= 100
    return f"{value:.{_decimals(value, kind, style)}f}"


def _decimals(value: float, kind: _Kind, style: Style) -> int:
    if kind is _Kind.COUNT:
        return 0
    if not style.rounded:
        return _DECIMALS
    if kind is _Kind.RANGE or (kind is _Kind.GLUCOSE and style.units is BgUnits.MG_DL):
        return 1 if value < 1 else 0
    return _PROFILE_DECIMALS.get(kind, _DECIMALS)


def _period(stats: Mapping[str, Any] | None) -> Mapping[str, Any]:
    period: Mapping[str, Any] = ((stats or {}).get("periods") or {}).get(_PERIOD_NAME) or {}
    return period


def _value(period: Mapping[str, Any], figure: _Figure) -> float | None:
    if figure.member in _OF_READINGS and period.get("totalRecords") == 0:
        return None
    value: float | None = period.get(figure.member)
    return value


def _time(dates: Mapping[str, Any], name: str) -> datetime | None:
    """The time `name`; None when it is not known."""
    return clock.known_time(dates[name]) if dates.get(name) else None
