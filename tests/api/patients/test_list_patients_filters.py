"""ListPatients: filters by figures, by the last data and by the last review."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Review
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.patient_lists import Ward, flagged, stats

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture
def ward(api: Client, database: Database) -> Ward:
    return Ward(api, database)


class TestNumbers:
    @pytest.fixture
    def lows(self, ward: Ward) -> Ward:
        """Patients by their lowest reading, and some who have none, or not of this type and period."""
        for name, value in {"1": 1, "2.5": 2.5, "3": 3.0, "-4": -4, "0.3": 0.1 + 0.2}.items():
            ward.add(name, cgm=stats({"min": value}))
        ward.add("no value", cgm=stats({"max": 7}))
        ward.add("no period", cgm=stats({"min": 1}, "7d"), bgm=stats({"min": 1}))
        ward.add("no summary")
        return ward

    @pytest.mark.parametrize(
        ("condition", "found"),
        [
            (">2.5", {"3"}),
            (">=2.5", {"2.5", "3"}),
            ("<1", {"-4", "0.3"}),
            ("<=1", {"-4", "0.3", "1"}),
            (">=1.", {"1", "2.5", "3"}),
            ("<.5", {"-4", "0.3"}),
            (">+2.5", {"3"}),
            ("<-3.75", {"-4"}),
            (">=-4.000", {"-4", "0.3", "1", "2.5", "3"}),
            (">-4", {"0.3", "1", "2.5", "3"}),
            (">002.5", {"3"}),
            ("<=-0", {"-4"}),
            (">12345678901.5", set()),
            # Comparison is exact: 0.1 + 0.2 is a little more than 0.3.
            (">0.3", {"0.3", "1", "2.5", "3"}),
            ("<=0.3", {"-4"}),
            ("<=0.30000000000000004", {"-4", "0.3"}),
            ("<0.30000000000000004", {"-4"}),
            # Beyond what a double holds.
            (f"<{'9' * 400}", {"-4", "0.3", "1", "2.5", "3"}),
            (f">={'9' * 400}", set()),
            (f">-{'9' * 400}", {"-4", "0.3", "1", "2.5", "3"}),
        ],
    )
    def test_rule_operator_sign_and_any_number_of_digits(self, lows: Ward, condition: str, found: set[str]) -> None:
        assert set(lows.listed({"cgm.min": condition})) == found

    @pytest.mark.parametrize(
        ("condition", "found"),
        [
            (">5", {"10"}),
            (">=5", {"5", "10"}),
            ("<-2", {"-3"}),
            (">+5", {"10"}),
            ("<=-3", {"-3"}),
            (">=005", {"5", "10"}),
            (f"<{'9' * 30}", {"-3", "5", "10"}),
        ],
    )
    def test_rule_whole_numbers_work(self, ward: Ward, condition: str, found: set[str]) -> None:
        for value in (5, 10, -3):
            ward.add(str(value), bgm=stats({"totalRecordsDelta": value}))
        ward.add("none")
        assert set(ward.listed({"bgm.totalRecordsDelta": condition})) == found

    def test_rule_a_change_of_daily_readings_may_be_a_fraction(self, ward: Ward) -> None:
        ward.add("a", bgm=stats({"averageDailyRecordsDelta": -0.25}))
        assert ward.listed({"bgm.averageDailyRecordsDelta": ">-0.5"}) == ["a"]
        assert ward.listed({"bgm.averageDailyRecordsDelta": ">-1"}) == ["a"]
        assert ward.listed({"bgm.averageDailyRecordsDelta": ">=0"}) == []

    @pytest.mark.parametrize("condition", [">-1000", ">=0", "<1000", "<=0"])
    @pytest.mark.parametrize("name", ["min", "timeInVeryLowPercent"])
    def test_rule_who_has_no_value_never_matches(self, ward: Ward, name: str, condition: str) -> None:
        ward.add("a", cgm=stats({name: 0}))
        ward.add("no value", cgm=stats(flagged(name, None, False)))
        ward.add("no period", cgm=stats({name: 0}, "30d"))
        ward.add("no periods", cgm=stats())
        ward.add("no summary")
        assert ward.listed({f"cgm.{name}": condition}) == ["a"]

    @pytest.mark.parametrize("name", ["timeInVeryLowPercent", "timeInLowPercent"])
    def test_rule_flags_play_no_part_in_filters(self, ward: Ward, name: str) -> None:
        ward.add("meant", cgm=stats(flagged(name, 0.5)))
        ward.add("not meant", cgm=stats(flagged(name, 0.5, False)))
        ward.add("flag alone", cgm=stats(flagged(name, None)))
        assert set(ward.listed({f"cgm.{name}": ">0.4"})) == {"meant", "not meant"}

    @pytest.mark.parametrize("kind", ["cgm", "bgm"])
    @pytest.mark.parametrize("name", ["averageGlucoseMmol", "timeInTargetPercentDelta", "max"])
    def test_rule_the_period_is_the_one_that_is_asked_for(self, ward: Ward, kind: str, name: str) -> None:
        """14 days unless it is said otherwise."""
        for period in ("1d", "7d", "14d", "30d"):
            ward.add(period, **{kind: stats({name: 5}, period)})
            assert ward.listed({f"{kind}.{name}": ">4", "period": period}) == [period]
        assert ward.listed({f"{kind}.{name}": ">4"}) == ["14d"]
        ward.add("other", **{kind: stats({name: 5}, "90d")})
        assert ward.listed({f"{kind}.{name}": ">4"}) == ["14d"]

    def test_rule_all_filters_must_hold(self, ward: Ward) -> None:
        tag, site = ward.tag("Pump"), ward.site("North")
        fits: dict[str, Any] = {
            "cgm": stats({"min": 2, "max": 20, "timeInTargetPercent": 0.5}, dates={"lastData": "2026-02-03T12:00:00Z"}),
            "bgm": stats({"totalRecords": 7}),
            "tags": [tag],
            "sites": [site],
            "full_name": "Ann",
            "reviews": [Review(BOB.id, NOON)],
        }
        ward.add("fits", **fits)
        changes: list[dict[str, Any]] = [
            {"cgm": fits["cgm"] | stats({"min": 4, "max": 20, "timeInTargetPercent": 0.5})},
            {"cgm": fits["cgm"] | stats({"min": 2, "max": 10, "timeInTargetPercent": 0.5})},
            {"cgm": fits["cgm"] | stats({"min": 2, "max": 20, "timeInTargetPercent": 0.8})},
            {"cgm": fits["cgm"] | {"dates": {"lastData": "2026-02-03T11:59:59.999Z"}}},
            {"cgm": None},
            {"bgm": stats({"totalRecords": 5})},
            {"bgm": None},
            {"tags": []},
            {"sites": []},
            {"full_name": "Bo"},
            {"reviews": []},
            {"glycemic_ranges": {"type": "preset", "preset": "adaPregnancyType1"}},
        ]
        ward.add_all({str(change): fits | change for change in changes})
        query = {
            "cgm.min": "<3",
            "cgm.max": ">15",
            "cgm.timeInTargetPercent": "<0.7",
            "cgm.lastDataFrom": "2026-02-03T12:00:00Z",
            "bgm.totalRecords": ">6",
            "tags": tag.id,
            "sites": site.id,
            "search": "ann",
            "lastReviewed": "2026-02-03T12:00:00Z",
            "omitNonStandardRanges": "true",
        }
        for sort in ("+fullName", "-timeInTargetPercent", "+lastData", "-totalRecords", "+lastReviewed"):
            assert ward.sorted_by(sort, "cgm", **query) == ["fits"]
        # Each of them is needed.
        assert (
            len([name for name in query if ward.listed({k: v for k, v in query.items() if k != name}) != ["fits"]])
            == 10
        )


class TestWindowsOfLastData:
    @pytest.fixture(params=["cgm", "bgm"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def days(self, ward: Ward, kind: str) -> Ward:
        for name, time in {
            "before": "2026-02-03T11:59:59.999Z",
            "noon": "2026-02-03T12:00:00Z",
            "after": "2026-02-03T12:00:00.001Z",
            "next day": "2026-02-04T12:00:00+00:00",
        }.items():
            ward.add(name, **{kind: stats(dates=flagged("lastData", time))})
        ward.add("year 1", **{kind: stats(dates=flagged("lastData", "0001-01-01T00:00:00Z"))})
        ward.add("no date", **{kind: stats(dates={"hasLastData": False})})
        ward.add("no dates", **{kind: stats({"min": 1})})
        ward.add(
            "no summary", **{"bgm" if kind == "cgm" else "cgm": stats(dates=flagged("lastData", NOON.isoformat()))}
        )
        return ward

    @pytest.mark.parametrize(
        ("start", "end", "found"),
        [
            ("2026-02-03T12:00:00Z", None, ["after", "next day", "noon"]),
            (None, "2026-02-03T12:00:00Z", ["before"]),
            ("2026-02-03T12:00:00Z", "2026-02-04T12:00:00Z", ["after", "noon"]),
            ("2026-02-03T13:00:00.000+01:00", "2026-02-03T12:00:00.001Z", ["noon"]),
            ("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", ["after", "before", "next day", "noon"]),
            ("2026-02-04T12:00:00Z", "2026-02-03T12:00:00Z", []),
            ("2026-02-03T12:00:00Z", "2026-02-03T12:00:00Z", []),
        ],
    )
    def test_rule_from_the_start_and_before_the_end(
        self, days: Ward, kind: str, start: str | None, end: str | None, found: list[str]
    ) -> None:
        """Rule: the start belongs to the window, its end does not; the time of year 1 counts as none."""
        query = {f"{kind}.lastDataFrom": start, f"{kind}.lastDataTo": end}
        assert days.listed({name: time for name, time in query.items() if time}) == found

    def test_rule_the_flag_plays_no_part(self, ward: Ward, kind: str) -> None:
        ward.add("a", **{kind: stats(dates=flagged("lastData", "2026-02-03T12:00:00Z", False))})
        assert ward.listed({f"{kind}.lastDataFrom": "2026-02-03T12:00:00Z"}) == ["a"]

    def test_the_types_have_windows_of_their_own(self, ward: Ward) -> None:
        early, late = (stats(dates=flagged("lastData", f"2026-02-0{day}T12:00:00Z")) for day in (1, 5))
        ward.add("a", cgm=early, bgm=late)
        ward.add("b", cgm=late, bgm=early)
        windows = {"cgm.lastDataTo": "2026-02-03T00:00:00Z", "bgm.lastDataFrom": "2026-02-03T00:00:00Z"}
        assert ward.listed(windows) == ["a"]


class TestLastReviewed:
    @pytest.mark.parametrize(
        ("time", "found"),
        [
            ("2026-02-03T12:00:00Z", ["noon"]),
            ("2026-02-03T13:00:00+01:00", ["noon"]),
            ("2026-02-03T11:59:59.999Z", []),
            ("2026-02-03T12:00:00.001Z", ["later", "noon"]),
            ("9999-12-31T00:00:00Z", ["latest", "later", "noon"]),
        ],
    )
    def test_rule_the_newest_review_is_at_that_time_or_before(self, ward: Ward, time: str, found: list[str]) -> None:
        """Rule: an earlier review makes no difference, and who was never reviewed does not match."""
        ward.add("noon", reviews=[Review(BOB.id, NOON)])
        ward.add("later", reviews=[Review(BOB.id, NOON + MILLISECOND), Review(BOB.id, NOON)])
        ward.add("latest", reviews=[Review(BOB.id, NOON + timedelta(days=1)), Review(BOB.id, NOON - timedelta(days=1))])
        ward.add("never")
        assert sorted(ward.listed(lastReviewed=time)) == sorted(found)
