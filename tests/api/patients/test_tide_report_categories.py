"""TideReport: who is in which category, in which order, and how many."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.db.engine import Database
from tests.support.client import Client
from tests.support.tide import CUTOFF, DEFAULTS, HOUR, MILLISECOND, NOW, OTHERS, YESTERDAY, Tide, cgm

# Nothing wrong, with no more data than is needed to say so.
WELL = {"timeInTargetPercent": 0.7, "timeCGMUsePercent": 0.7}
# For each category the figure it goes by, whether high ones come first, figures that are just in, and just not.
TABLE = {
    "timeInVeryLowPercent": ("timeInVeryLowPercent", True, (0.0101, 1.0), (0.01, 0.0099, 0)),
    "timeInAnyLowPercent": ("timeInAnyLowPercent", True, (0.0401, 1.0), (0.04, 0.0399, 0)),
    "timeInVeryHighPercent": ("timeInVeryHighPercent", True, (0.0501, 1.0), (0.05, 0.0499, 0)),
    "timeInAnyHighPercent": ("timeInAnyHighPercent", True, (0.2501, 1.0), (0.25, 0.2499, 0)),
    "dropInTimeInTargetPercent": ("timeInTargetPercentDelta", False, (-0.1501, -1.0), (-0.15, -0.1499, 0, 0.2)),
    "timeCGMUsePercent": ("timeCGMUsePercent", False, (0.6999, 0), (0.7, 0.7001, 1.0)),
    "meetingTargets": ("timeInTargetPercent", True, (0.7, 0.7001, 1.0), (0.6999, 0)),
    "timeInTargetPercent": ("timeInTargetPercent", False, (0.6999, 0), (0.7, 0.7001, 1.0)),
    "timeInExtremeHighPercent": ("timeInExtremeHighPercent", True, (0.01, 0.0101, 1.0), (0.0099, 0)),
}
ALL = [*DEFAULTS, *OTHERS]


@pytest.fixture
def tide(api: Client, database: Database) -> Tide:
    return Tide(api, database)


def figures(category: str, value: float | None) -> dict[str, float]:
    """Figures of somebody who would be in the category if `value`, what it goes by, were right."""
    base = WELL if category == "meetingTargets" else {}
    return {**base, **({} if value is None else {TABLE[category][0]: value})}


class TestConditions:
    @pytest.mark.parametrize("category", ALL)
    def test_rule_who_belongs_to_a_category(self, tide: Tide, category: str) -> None:
        _, _, inside, outside = TABLE[category]
        tide.have(**{f"in {value}": figures(category, value) for value in inside})
        tide.have(**{f"not in {value}": figures(category, value) for value in outside})
        assert set(tide.members(category)) == {f"in {value}" for value in inside}

    @pytest.mark.parametrize("category", ALL)
    def test_rule_a_missing_figure_fulfils_no_condition(self, tide: Tide, category: str) -> None:
        name, _, inside, _ = TABLE[category]
        unlike = {name: value for name, value in figures(category, inside[0]).items() if name != TABLE[category][0]}
        tide.have(without=unlike, empty={}, all={**unlike, name: inside[0]})
        tide.add("another period", cgm=cgm(figures(category, inside[0]), period="7d"), tags=[tide.pump])
        tide.add("no summary", tags=[tide.pump])
        assert tide.members(category) == ["all"]

    @pytest.mark.parametrize("category", ALL)
    def test_flags_play_no_part(self, tide: Tide, category: str) -> None:
        """Not even one that contradicts its figure, which is kept as sent."""
        _, _, inside, _ = TABLE[category]
        summary = cgm(figures(category, inside[0]))
        for flagged in (summary["periods"]["14d"], summary["dates"]):
            flagged.update({name: False for name in flagged if name.startswith("has")})
        tide.add("contradictory", cgm=summary, tags=[tide.pump])
        assert tide.members(category) == ["contradictory"]

    @pytest.mark.parametrize("period", ["1d", "7d", "14d", "30d"])
    def test_the_figures_are_those_of_the_asked_period_of_cgm(self, tide: Tide, period: str) -> None:
        low = {"timeInVeryLowPercent": 0.02}
        for other in ("1d", "7d", "14d", "30d"):
            tide.add(other, cgm=cgm(low, period=other), tags=[tide.pump])
        tide.add("meter", bgm=cgm(low, period=period), tags=[tide.pump])
        assert tide.members("timeInVeryLowPercent", period=period) == [period]

    def test_some_are_in_no_category(self, tide: Tide) -> None:
        """With the default ones, for instance, whose only trouble is too little time in target."""
        tide.have(a={"timeInTargetPercent": 0.5, "timeCGMUsePercent": 0.9}, b={})
        assert not any(tide.results().values())
        assert tide.members("timeInTargetPercent") == ["a"]


class TestMeetingTargets:
    CATEGORY = "meetingTargets"

    def test_rule_both_the_target_and_the_use_are_needed(self, tide: Tide) -> None:
        tide.have(
            both=WELL,
            little_use={**WELL, "timeCGMUsePercent": 0.6999},
            little_target={**WELL, "timeInTargetPercent": 0.6999},
            no_use={"timeInTargetPercent": 0.9},
            no_target={"timeCGMUsePercent": 0.9},
        )
        assert tide.members(self.CATEGORY) == ["both"]

    @pytest.mark.parametrize(
        ("name", "most", "too_much"),
        [
            ("timeInAnyLowPercent", 0.04, 0.0401),
            ("timeInVeryLowPercent", 0.01, 0.0101),
            ("timeInAnyHighPercent", 0.25, 0.2501),
            ("timeInVeryHighPercent", 0.05, 0.0501),
            ("timeInExtremeHighPercent", 0.0099, 0.01),
        ],
    )
    def test_rule_each_low_and_high_disqualifies(self, tide: Tide, name: str, most: float, too_much: float) -> None:
        tide.have(well={**WELL, name: most}, not_well={**WELL, name: too_much})
        assert tide.members(self.CATEGORY) == ["well"]

    def test_rule_a_missing_low_or_high_is_no_obstacle(self, tide: Tide) -> None:
        obstacles = ("AnyLow", "VeryLow", "AnyHigh", "VeryHigh", "ExtremeHigh")
        zeros = {f"timeIn{name}Percent": 0.0 for name in obstacles}
        tide.have(
            none=WELL, zeros={**WELL, **zeros}, **{name: {**WELL, f"timeIn{name}Percent": 0} for name in obstacles}
        )
        assert tide.members(self.CATEGORY) == ["none", "zeros", *obstacles]

    def test_other_figures_do_not_disqualify(self, tide: Tide) -> None:
        others = {"timeInLowPercent": 1, "timeInHighPercent": 1, "timeInTargetPercentDelta": -0.5}
        tide.have(a={**WELL, **others})
        assert tide.members(self.CATEGORY) == ["a"]


class TestOrder:
    @pytest.mark.parametrize("category", ALL)
    def test_rule_the_order_in_a_category(self, tide: Tide, category: str) -> None:
        _, descending, inside, _ = TABLE[category]
        values = sorted([*inside, sum(inside) / len(inside)], reverse=descending)
        tide.have(**{f"{value}": figures(category, value) for value in [values[1], values[0], *values[2:]]})
        assert tide.members(category) == [f"{value}" for value in values]

    @pytest.mark.parametrize("category", ALL)
    def test_rule_equal_values_come_by_creation(self, tide: Tide, category: str) -> None:
        _, _, (inside, further, *_), _ = TABLE[category]
        names = ["d", "b", "c", "a"]
        tide.have(last=figures(category, inside), **dict.fromkeys(names, figures(category, further)))
        members = tide.members(category)
        assert [name for name in members if name != "last"] == names

    def test_use_is_not_what_those_who_meet_their_targets_are_sorted_by(self, tide: Tide) -> None:
        tide.have(a={**WELL, "timeCGMUsePercent": 1.0}, b={**WELL, "timeInTargetPercent": 0.8})
        assert tide.members("meetingTargets") == ["b", "a"]


class TestFirstThatFits:
    FITS_ALL_LOWS = {"timeInVeryLowPercent": 0.02, "timeInAnyLowPercent": 0.05}  # noqa: RUF012 - never changed
    ALL_WRONG = {  # noqa: RUF012 - never changed
        "timeInVeryLowPercent": 0.02,
        "timeInAnyLowPercent": 0.05,
        "timeInVeryHighPercent": 0.06,
        "timeInAnyHighPercent": 0.3,
        "timeInTargetPercentDelta": -0.2,
        "timeCGMUsePercent": 0.6,
        "timeInTargetPercent": 0.5,
        "timeInExtremeHighPercent": 0.01,
    }

    def test_rule_the_default_order(self, tide: Tide) -> None:
        """Everybody has one trouble less than the one before, and is shown for the first."""
        wrong = dict(self.ALL_WRONG)
        for category in DEFAULTS[:-1]:
            tide.have(**{category: wrong})
            del wrong[TABLE[category][0]]
        tide.have(meetingTargets=WELL, nowhere=wrong)
        results = tide.results()
        assert results == {**{category: [category] for category in DEFAULTS}, "noData": []}

    def test_rule_the_asked_order_decides(self, tide: Tide) -> None:
        tide.have(both=self.FITS_ALL_LOWS)
        very, some = "timeInVeryLowPercent", "timeInAnyLowPercent"
        for first, second in ((very, some), (some, very)):
            results = tide.results(categories=[first, second], excludeNoData="true")
            assert list(results.items()) == [(first, ["both"]), (second, [])]

    def test_a_category_that_was_not_asked_claims_nobody(self, tide: Tide) -> None:
        tide.have(both=self.FITS_ALL_LOWS)
        assert tide.members("timeInAnyLowPercent") == ["both"]

    @pytest.mark.parametrize("category", [name for name in ALL if name != "meetingTargets"])
    def test_each_category_claims_patients_from_those_behind_it(self, tide: Tide, category: str) -> None:
        tide.have(all_wrong=self.ALL_WRONG)
        results = tide.results(categories=[category, *ALL])
        assert {name: members for name, members in results.items() if members} == {category: ["all_wrong"]}

    def test_rule_repeats_count_once(self, tide: Tide) -> None:
        tide.have(both=self.FITS_ALL_LOWS)
        results = tide.results(categories=["timeInAnyLowPercent", "timeInVeryLowPercent", "timeInAnyLowPercent"])
        assert results["timeInAnyLowPercent"] == ["both"]


class TestCutoff:
    def test_rule_the_cutoff_is_inclusive(self, tide: Tide) -> None:
        low = {"timeInVeryLowPercent": 0.02}
        for name, time in (("at", CUTOFF), ("before", CUTOFF - MILLISECOND), ("after", CUTOFF + MILLISECOND)):
            tide.add(name, cgm=cgm(low, time), tags=[tide.pump])
        assert tide.members("timeInVeryLowPercent") == ["at", "after"]

    def test_who_has_no_readings_is_in_no_category(self, tide: Tide) -> None:
        low = {"timeInVeryLowPercent": 0.02}
        for name, time in (("none", None), ("zero time", "0001-01-01T00:00:00Z")):
            tide.add(name, cgm=cgm(low, time), tags=[tide.pump])
        tide.add("no dates", cgm={"periods": cgm(low)["periods"]}, tags=[tide.pump])
        assert tide.members("timeInVeryLowPercent", lastDataCutoff="0002-01-01T00:00:00Z") == []

    def test_readings_of_meters_do_not_count(self, tide: Tide) -> None:
        low = {"timeInVeryLowPercent": 0.02}
        tide.add("a", cgm=cgm(low, CUTOFF - HOUR), bgm=cgm(low, YESTERDAY), tags=[tide.pump])
        assert tide.members("timeInVeryLowPercent") == []

    def test_a_cutoff_may_lie_in_the_future(self, tide: Tide) -> None:
        tide.have(a={"timeInVeryLowPercent": 0.02})
        results = tide.results(lastDataCutoff=NOW + timedelta(days=1))
        assert {name: members for name, members in results.items() if members} == {"noData": ["a"]}


class TestLimit:
    LOW, HIGH = "timeInVeryLowPercent", "timeInAnyHighPercent"

    def test_rule_a_hundred_patients_over_all_categories(self, tide: Tide) -> None:
        lows = {f"low {number}": {self.LOW: round(0.9 - number / 1000, 3)} for number in range(60)}
        highs = {f"high {number}": {self.HIGH: round(0.9 - number / 1000, 3)} for number in range(45)}
        tide.have(**lows, **highs, meeting=WELL)
        results = tide.results(excludeNoData="true")
        assert list(results) == DEFAULTS
        assert results[self.LOW] == list(lows)
        # What is left of the hundred; then there are the later categories, but nobody in them.
        assert results[self.HIGH] == list(highs)[:40]
        assert sum(map(len, results.values())) == 100

    @pytest.mark.parametrize("count", [99, 100, 101])
    def test_rule_later_categories_are_empty_and_present(self, tide: Tide, count: int) -> None:
        tide.have(**{f"{number}": {self.LOW: 0.5} for number in range(count)}, meeting=WELL, drop=WELL)
        results = tide.results(excludeNoData="true")
        assert list(results) == DEFAULTS
        assert len(results[self.LOW]) == min(count, 100)
        assert results["meetingTargets"] == (["meeting"] if count == 99 else [])

    def test_those_who_are_claimed_do_not_use_up_the_limit_of_a_later_category(self, tide: Tide) -> None:
        """The most extreme of the later one are all reported already."""
        both = {f"both {number}": {self.LOW: 0.5, self.HIGH: 0.9} for number in range(60)}
        highs = {f"high {number}": {self.HIGH: 0.5} for number in range(50)}
        tide.have(**highs, **both)
        results = tide.results(excludeNoData="true")
        assert results[self.LOW] == list(both)
        assert results[self.HIGH] == list(highs)[:40]

    def test_rule_those_without_data_have_a_limit_of_their_own(self, tide: Tide) -> None:
        tide.have(**{f"{number}": {self.LOW: 0.5} for number in range(100)})
        days = {f"old {number}": CUTOFF - timedelta(days=number + 1) for number in range(52)}
        tide.read(**days)
        results = tide.results()
        assert len(results[self.LOW]) == 100
        assert results["noData"] == list(reversed(days))[:50]
