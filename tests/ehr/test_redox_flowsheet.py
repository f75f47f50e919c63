"""Observations of a flowsheet, against values computed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from clinic_service.models import BgUnits
from clinic_service.resources.ehr.redox.flowsheet import (
    Style,
    flowsheet,
    glucose_management_indicator,
    observations,
)
from clinic_service.resources.ehr.redox.outgoing import Envelope, Sender

MG_DL, MMOL_L = Style(BgUnits.MG_DL), Style(BgUnits.MMOL_L)
DATES = {
    "hasFirstData": True,
    "firstData": "2025-11-03T08:00:00Z",
    "hasLastData": True,
    "lastData": "2026-03-01T12:00:00.5Z",
    "lastUpdatedDate": "2026-03-01T12:10:00Z",
}
CGM = {
    "averageGlucoseMmol": 8.5,
    "standardDeviation": 3.2,
    "coefficientOfVariation": 0.37647,
    "glucoseManagementIndicator": 6.97,
    "timeInVeryHighPercent": 0.0049,
    "timeInHighPercent": 0.21444,
    "timeInTargetPercent": 0.705,
    "timeInLowPercent": 0.06,
    "timeInVeryLowPercent": 0.01566,
    "timeCGMUsePercent": 0.93375,
    "daysWithData": 14,
    "hoursWithData": 313,
    "totalRecords": 3765,
}
BGM = {
    "averageGlucoseMmol": 9.1,
    "standardDeviation": 2.05,
    "coefficientOfVariation": 0.2253,
    "timeInVeryHighPercent": 0.05,
    "timeInHighPercent": 0.25,
    "timeInTargetPercent": 0.65,
    "timeInLowPercent": 0.05,
    "timeInVeryLowPercent": 0.0,
    "timeInVeryHighRecords": 2,
    "timeInVeryLowRecords": 0,
    "min": 3.1,
    "max": 17.25,
    "totalRecords": 40,
    "averageDailyRecords": 2.857142,
    "daysWithData": 11,
}
PERIOD_OF_CGM = {
    "REPORTING_PERIOD_START_CGM": "2026-02-15T12:00:00.500Z",
    "REPORTING_PERIOD_END_CGM": "2026-03-01T12:00:00.500Z",
    "REPORTING_PERIOD_START_CGM_DATA": "2025-11-03T08:00:00.000Z",
}
CGM_IN_MG_DL = PERIOD_OF_CGM | {
    "TIME_ABOVE_RANGE_VERY_HIGH_CGM": "0.4900",
    "TIME_ABOVE_RANGE_HIGH_CGM": "21.4440",
    "TIME_IN_RANGE_CGM": "70.5000",
    "TIME_BELOW_RANGE_LOW_CGM": "6.0000",
    "TIME_BELOW_RANGE_VERY_LOW_CGM": "1.5660",
    "AVERAGE_CGM": "153.1325",
    "STANDARD_DEVIATION_CGM": "57.6499",
    "COEFFICIENT_OF_VARIATION_CGM": "37.6470",
    "DAYS_WITH_DATA_CGM": "14",
    "GLUCOSE_MANAGEMENT_INDICATOR": "6.9700",
    "ACTIVE_WEAR_TIME_CGM": "93.3750",
    "HOURS_WITH_DATA_CGM": "313",
}
BGM_IN_MG_DL = {
    "REPORTING_PERIOD_START_SMBG": "2026-02-15T12:00:00.500Z",
    "REPORTING_PERIOD_END_SMBG": "2026-03-01T12:00:00.500Z",
    "REPORTING_PERIOD_START_SMBG_DATA": "2025-11-03T08:00:00.000Z",
    "TIME_ABOVE_RANGE_VERY_HIGH_SMBG": "5.0000",
    "TIME_ABOVE_RANGE_HIGH_SMBG": "25.0000",
    "TIME_IN_RANGE_SMBG": "65.0000",
    "TIME_BELOW_RANGE_LOW_SMBG": "5.0000",
    "TIME_BELOW_RANGE_VERY_LOW_SMBG": "0.0000",
    "AVERAGE_SMBG": "163.9419",
    "STANDARD_DEVIATION_SMBG": "36.9320",
    "COEFFICIENT_OF_VARIATION_SMBG": "22.5300",
    "DAYS_WITH_DATA_SMBG": "11",
    "READINGS_ABOVE_RANGE_VERY_HIGH_SMBG": "2",
    "READINGS_BELOW_RANGE_VERY_LOW_SMBG": "0",
    "MAX_SMBG": "310.7689",
    "MIN_SMBG": "55.8483",
    "TOTAL_READING_COUNT_SMBG": "40",
    "CHECK_RATE_READINGS_DAY_SMBG": "2.8571",
}


def _stats(figures: Mapping[str, Any], period: str = "14d", **dates: Any) -> dict[str, Any]:
    given = {name: value for name, value in (DATES | dates).items() if value is not None}
    return {"dates": given, "periods": {period: dict(figures)}}


def _values(summaries: Mapping[str, Any], style: Style = MG_DL) -> dict[str, str]:
    return {one["Code"]: one["Value"] for one in observations(summaries, style)}


def test_figures_of_a_continuous_monitor() -> None:
    assert _values({"cgmStats": _stats(CGM)}) == CGM_IN_MG_DL


def test_figures_of_a_meter() -> None:
    assert _values({"bgmStats": _stats(BGM)}) == BGM_IN_MG_DL


def test_both_methods_are_told_together() -> None:
    both = {"cgmStats": _stats(CGM), "bgmStats": _stats(BGM)}
    assert _values(both) == CGM_IN_MG_DL | BGM_IN_MG_DL


def test_glucose_stays_in_mmol_per_litre_for_a_clinic_that_reads_it_so() -> None:
    changed = {"AVERAGE_CGM": "8.5000", "STANDARD_DEVIATION_CGM": "3.2000"}
    assert _values({"cgmStats": _stats(CGM)}, MMOL_L) == CGM_IN_MG_DL | changed


def test_rounding_as_in_ambulatory_glucose_profiles() -> None:
    style = Style(BgUnits.MG_DL, rounded=True)
    assert _values({"cgmStats": _stats(CGM), "bgmStats": _stats(BGM)}, style) == CGM_IN_MG_DL | BGM_IN_MG_DL | {
        "TIME_ABOVE_RANGE_VERY_HIGH_CGM": "0.5",
        "TIME_ABOVE_RANGE_HIGH_CGM": "21",
        "TIME_IN_RANGE_CGM": "70",
        "TIME_BELOW_RANGE_LOW_CGM": "6",
        "TIME_BELOW_RANGE_VERY_LOW_CGM": "2",
        "AVERAGE_CGM": "153",
        "STANDARD_DEVIATION_CGM": "57.6",
        "COEFFICIENT_OF_VARIATION_CGM": "37.6",
        "GLUCOSE_MANAGEMENT_INDICATOR": "7.0",
        "ACTIVE_WEAR_TIME_CGM": "93.38",
        "TIME_ABOVE_RANGE_VERY_HIGH_SMBG": "5",
        "TIME_ABOVE_RANGE_HIGH_SMBG": "25",
        "TIME_IN_RANGE_SMBG": "65",
        "TIME_BELOW_RANGE_LOW_SMBG": "5",
        "TIME_BELOW_RANGE_VERY_LOW_SMBG": "0.0",
        "AVERAGE_SMBG": "164",
        "STANDARD_DEVIATION_SMBG": "36.9",
        "COEFFICIENT_OF_VARIATION_SMBG": "22.5",
        "MAX_SMBG": "311",
        "MIN_SMBG": "56",
    }


def test_rounded_glucose_in_mmol_per_litre_has_one_decimal() -> None:
    values = _values({"cgmStats": _stats(CGM), "bgmStats": _stats(BGM)}, Style(BgUnits.MMOL_L, rounded=True))
    names = ("AVERAGE_CGM", "STANDARD_DEVIATION_CGM", "AVERAGE_SMBG", "MAX_SMBG", "MIN_SMBG")
    assert [values[name] for name in names] == ["8.5", "3.2", "9.1", "17.2", "3.1"]


def test_rounded_glucose_below_one_mg_per_decilitre_keeps_a_decimal() -> None:
    values = _values({"bgmStats": _stats(BGM | {"min": 0.02})}, Style(BgUnits.MG_DL, rounded=True))
    assert values["MIN_SMBG"] == "0.4"


def test_observation_names_its_time_unit_and_type() -> None:
    found = {one["Code"]: one for one in observations({"cgmStats": _stats(CGM)}, MG_DL)}
    assert {one["DateTime"] for one in found.values()} == {"2026-03-01T12:10:00.000Z"}
    assert found["REPORTING_PERIOD_END_CGM"]["ValueType"] == "DateTime"
    assert "Units" not in found["REPORTING_PERIOD_END_CGM"]
    assert found["AVERAGE_CGM"]["ValueType"] == "Numeric"
    assert found["AVERAGE_CGM"]["Units"] == "mg/dL"
    assert found["TIME_IN_RANGE_CGM"]["Units"] == "%"
    assert all(one["Description"] for one in found.values())


def test_figures_that_could_not_be_computed_are_left_out() -> None:
    figures = {name: value for name, value in CGM.items() if name != "glucoseManagementIndicator"}
    expected = {name: value for name, value in CGM_IN_MG_DL.items() if name != "GLUCOSE_MANAGEMENT_INDICATOR"}
    assert _values({"cgmStats": _stats(figures)}) == expected


def test_without_a_first_date_its_observation_is_left_out() -> None:
    values = _values({"cgmStats": _stats(CGM, firstData=None, hasFirstData=False)})
    assert values == {name: value for name, value in CGM_IN_MG_DL.items() if name != "REPORTING_PERIOD_START_CGM_DATA"}


@pytest.mark.parametrize("name", ["lastData", "lastUpdatedDate"])
def test_method_without_a_known_time_has_no_observations(name: str) -> None:
    unknown = _stats(BGM, **{name: "0001-01-01T00:00:00Z"})
    assert _values({"cgmStats": _stats(CGM), "bgmStats": unknown}) == CGM_IN_MG_DL


def test_first_date_that_is_not_known_is_left_out() -> None:
    values = _values({"cgmStats": _stats(CGM, firstData="0001-01-01T00:00:00Z")})
    assert values == {name: value for name, value in CGM_IN_MG_DL.items() if name != "REPORTING_PERIOD_START_CGM_DATA"}


def test_figures_of_readings_that_there_are_none_of_are_left_out() -> None:
    """A summary has them always, as zero."""
    figures = {"min": 0, "max": 0, "standardDeviation": 0, "coefficientOfVariation": 0, "totalRecords": 0}
    values = _values({"bgmStats": _stats(figures | {"daysWithData": 0})})
    assert {name: value for name, value in values.items() if not name.startswith("REPORTING")} == {
        "TOTAL_READING_COUNT_SMBG": "0",
        "DAYS_WITH_DATA_SMBG": "0",
    }


@pytest.mark.parametrize(
    "stats",
    [
        None,
        {},
        {"dates": DATES},
        {"periods": {"14d": CGM}},
        _stats(CGM, "30d"),
        _stats(CGM, lastData=None),
        _stats(CGM, lastUpdatedDate=None),
    ],
)
def test_nothing_is_sent_without_observations(stats: Any) -> None:
    envelope = Envelope({}, Sender("a", "b"), "c")
    assert flowsheet(envelope, {"cgmStats": stats}, MG_DL) is None
    assert flowsheet(envelope, {}, MG_DL) is None


def test_message_holds_the_observations() -> None:
    summaries = {"cgmStats": _stats(CGM)}
    message = flowsheet(Envelope({}, Sender("a", "b"), "c"), summaries, MG_DL)
    assert message is not None
    assert (message["Meta"]["DataModel"], message["Meta"]["EventType"]) == ("Flowsheet", "New")
    assert message["Observations"] == observations(summaries, MG_DL)


@pytest.mark.parametrize(("style", "written"), [(MG_DL, "6.9700"), (Style(BgUnits.MG_DL, rounded=True), "7.0")])
def test_glucose_management_indicator_is_written_as_in_the_flowsheet(style: Style, written: str) -> None:
    assert glucose_management_indicator({"cgmStats": _stats(CGM)}, style) == written


@pytest.mark.parametrize("summaries", [{}, {"cgmStats": _stats({})}, {"bgmStats": _stats(BGM)}])
def test_glucose_management_indicator_that_is_not_known(summaries: dict[str, Any]) -> None:
    assert glucose_management_indicator(summaries, MG_DL) is None
