"""ListPatients: the order of the list, and its pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Review
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.patient_lists import Ward, flagged, stats

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
# Names of every kind, in their order.
IN_ORDER = [
    *(
        "  lead",
        "_x",
        "-x",
        "(z",
        "1x",
        "a b",
        "a-b",
        "a,b",
        "a.b",
        "A1",
        "Aa",
        "ab",
        "ad",
        "æb",
        "af",
        "da",
        "đa",
        "dz",
    ),
    *("ea", "O Brien", "O-Brien", "O'Brien", "oa", "oz", "sr", "ss", "st", "Zz", "Жук", "日本"),
]


@pytest.fixture
def ward(api: Client, database: Database) -> Ward:
    return Ward(api, database)


@pytest.fixture(params=["cgm", "bgm"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def add_figures(ward: Ward, kind: str, **figures: dict[str, Any]) -> None:
    for name, values in figures.items():
        ward.add(name, **{kind: stats(values)})


class TestGroups:
    """Rule: what means something, what does not, and nothing, in this order whatever the direction."""

    # With an index and without.
    @pytest.mark.parametrize("field", ["timeInVeryLowRecords", "timeInAnyLowRecords", "averageDailyRecords"])
    def test_rule_figures_that_mean_something_come_first(self, ward: Ward, kind: str, field: str) -> None:
        ward.add("nothing 1")
        add_figures(ward, kind, zero=flagged(field, 0, False), nine=flagged(field, 9), two=flagged(field, 2))
        add_figures(ward, kind, zero_too=flagged(field, 0, False), one=flagged(field, 1))
        ward.add("nothing 2", **{kind: stats({"min": 3}, "7d")})
        ward.add("nothing 3", **{kind: stats(dates={"hasLastData": False})})
        nothing = ["nothing 1", "nothing 2", "nothing 3"]
        assert ward.sorted_by(f"+{field}", kind) == ["one", "two", "nine", "zero", "zero_too", *nothing]
        assert ward.sorted_by(f"-{field}", kind) == ["nine", "two", "one", "zero", "zero_too", *nothing]

    @pytest.mark.parametrize(
        "field", ["averageGlucoseMmol", "timeInAnyHighPercent", "timeInLowPercent", "totalRecords"]
    )
    def test_rule_missing_values_are_the_lowest_of_their_group(self, ward: Ward, kind: str, field: str) -> None:
        """Flags are believed, also when they contradict the value."""
        add_figures(ward, kind, false_5=flagged(field, 5, False), true_none=flagged(field, None))
        add_figures(ward, kind, true_3=flagged(field, 3), false_none=flagged(field, None, False))
        add_figures(
            ward, kind, true_0=flagged(field, 0), true_minus=flagged(field, -1), false_2=flagged(field, 2, False)
        )
        ward.add("nothing")
        rising = ["true_none", "true_minus", "true_0", "true_3", "false_none", "false_2", "false_5", "nothing"]
        falling = ["true_3", "true_0", "true_minus", "true_none", "false_5", "false_2", "false_none", "nothing"]
        assert ward.sorted_by(f"+{field}", kind) == rising
        assert ward.sorted_by(f"-{field}", kind) == falling

    @pytest.mark.parametrize(
        "field",
        [
            *("timeInTargetPercentDelta", "timeInVeryLowRecordsDelta", "minDelta", "averageGlucoseMmolDelta"),
            *("min", "max", "standardDeviation", "coefficientOfVariation"),
        ],
    )
    def test_rule_fields_without_a_flag_have_a_value_or_none(self, ward: Ward, kind: str, field: str) -> None:
        """Whoever has none comes last in both directions; flags of other fields play no part."""
        flags = {"hasTimeInTargetPercent": False, "hasTimeInVeryLowRecords": False, "hasAverageGlucoseMmol": False}
        ward.add("nothing 1")
        ward.add("no value", **{kind: stats(flagged("totalRecords", 7))})
        add_figures(ward, kind, two={field: 2}, minus={field: -2, **flags}, zero={field: 0}, also_two={field: 2.0})
        ward.add("nothing 2", **{kind: stats({field: 1}, "30d")})
        nothing = ["nothing 1", "no value", "nothing 2"]
        assert ward.sorted_by(f"+{field}", kind) == ["minus", "zero", "two", "also_two", *nothing]
        assert ward.sorted_by(f"-{field}", kind) == ["two", "also_two", "zero", "minus", *nothing]

    @pytest.mark.parametrize("field", ["daysWithData", "hoursWithData", "hoursWithDataDelta", "daysWithDataDelta"])
    def test_rule_numbers_of_hours_and_days_have_no_flag(self, ward: Ward, field: str) -> None:
        ward.add("none")
        add_figures(ward, "cgm", two={field: 2}, zero={field: 0})
        assert ward.sorted_by(f"+{field}") == ["zero", "two", "none"]
        assert ward.sorted_by(f"-{field}") == ["two", "zero", "none"]

    @pytest.mark.parametrize("field", ["lastData", "lastUploadDate", "firstData", "outdatedSince"])
    def test_rule_dates_have_the_same_groups(self, ward: Ward, kind: str, field: str) -> None:
        """A summary without dates is nothing; the time of year 1 counts as a missing one."""
        times = {
            "nothing": None,
            "late": flagged(field, "2026-02-03T12:00:00.001Z"),
            "early": flagged(field, "2026-02-03T12:59:59.999+01:00"),
            "true_year_1": flagged(field, "0001-01-01T00:00:00Z"),
            "false_none": flagged(field, None, False),
            "false_late": flagged(field, "2026-03-01T00:00:00Z", False),
        }
        for name, dates in times.items():
            ward.add(name, **({} if dates is None else {kind: stats(dates=dates)}))
        ward.add("nothing 2", **{kind: stats({"min": 1})})
        nothing = ["nothing", "nothing 2"]
        assert ward.sorted_by(f"+{field}", kind) == [
            "true_year_1",
            "early",
            "late",
            "false_none",
            "false_late",
            *nothing,
        ]
        assert ward.sorted_by(f"-{field}", kind) == [
            "late",
            "early",
            "true_year_1",
            "false_late",
            "false_none",
            *nothing,
        ]
        other = "bgm" if kind == "cgm" else "cgm"
        assert ward.sorted_by(f"-{field}", other) == list(ward.names.values())

    @pytest.mark.parametrize("field", ["timeInTargetPercent", "timeInHighPercent", "max"])
    def test_rule_the_period_is_the_one_that_is_asked_for(self, ward: Ward, kind: str, field: str) -> None:
        for name, period in {"a": "1d", "b": "7d", "c": "14d", "d": "30d", "e": "14d"}.items():
            ward.add(name, **{kind: stats({field: 1}, period)})
        assert ward.sorted_by(f"-{field}", kind) == ["c", "e", "a", "b", "d"]
        assert ward.sorted_by(f"-{field}", kind, period="30d") == ["d", "a", "b", "c", "e"]

    def test_the_type_is_the_one_that_is_asked_for(self, ward: Ward) -> None:
        ward.add("a", cgm=stats({"max": 2}), bgm=stats({"max": 3}))
        ward.add("b", cgm=stats({"max": 3}), bgm=stats({"max": 2}))
        assert (ward.sorted_by("+max", "cgm"), ward.sorted_by("+max", "bgm")) == (["a", "b"], ["b", "a"])


class TestNamesBirthDatesAndReviews:
    def test_rule_names_are_ordered_by_letters(self, ward: Ward) -> None:
        """Spaces, punctuation, digits, letters by script; neither case nor accents count."""
        shuffled = Random(3).sample(IN_ORDER, len(IN_ORDER))
        # These two are equal, so the one that was made first stands first in both directions.
        shuffled.remove("da")
        ward.add("da", *shuffled)
        ward.add("null", full_name=None)
        assert ward.listed() == ward.sorted_by("+fullName") == ward.sorted_by("+fullName", "bgm") == ["null", *IN_ORDER]
        falling = IN_ORDER[::-1]
        at = falling.index("đa")
        falling[at : at + 2] = ["da", "đa"]
        assert ward.sorted_by("-fullName") == [*falling, "null"]

    @pytest.mark.parametrize(
        "alike",
        [
            ["Zoë", "zoe", "ZOÉ", "\uff5a\uff4f\uff45"],
            ["Strauß", "strauss", "STRAUSS"],
            ["Ærø", "aero", "Aerø"],
            ["Đặng", "dang"],
            ["Łoś", "los"],
            ["e\u0301", "\u00e9", "E"],
        ],
    )
    def test_rule_case_and_accents_do_not_count(self, ward: Ward, alike: list[str]) -> None:
        """Rule: such names are equal, and equal ones stand in order of creation in both directions."""
        ward.add("zz", *alike, "a")
        for order in (alike, alike[::-1]):
            other = Ward(ward.api, ward.database)
            other.add("zz", *order, "a")
            assert other.listed() == ["a", *order, "zz"]
            assert other.sorted_by("-fullName") == ["zz", *order, "a"]

    def test_an_empty_name_is_no_name(self, ward: Ward) -> None:
        ward.add("a")
        ward.add("empty", full_name="")
        ward.add("null", full_name=None)
        assert ward.listed() == ["empty", "null", "a"]

    def test_rule_birth_dates_are_ordered_as_text(self, ward: Ward) -> None:
        for name, date in {"c": "1990-01-02", "u": None, "b": "1989-12-31", "d": "2001-01-01", "v": None}.items():
            ward.add(name, birth_date=date)
        ward.add("c2", birth_date="1990-01-02")
        assert ward.sorted_by("+birthDate") == ["u", "v", "b", "c", "c2", "d"]
        assert ward.sorted_by("-birthDate", "bgm") == ["d", "c", "c2", "b", "u", "v"]

    def test_rule_who_was_never_reviewed_comes_first_when_ascending(self, ward: Ward) -> None:
        """Rule: the newest review counts; ascending is the list of work to do."""
        for name, days in {
            "never": [],
            "new": [9, 1],
            "old": [3],
            "older": [2, 1],
            "never 2": [],
            "old 2": [3, 2],
        }.items():
            ward.add(name, reviews=[Review(BOB.id, NOON + timedelta(days=day)) for day in days])
        assert ward.sorted_by("+lastReviewed") == ["never", "never 2", "older", "old", "old 2", "new"]
        assert ward.sorted_by("-lastReviewed", "bgm") == ["new", "old", "old 2", "older", "never", "never 2"]


class TestPages:
    SORTS = ("+fullName", "-birthDate", "+lastReviewed", "-lastData", "+timeInVeryLowRecords", "-min", "+totalRecords")

    def test_rule_ties_stand_in_order_of_creation_in_both_directions(self, ward: Ward) -> None:
        """Not of the time that is shown: rows may be made in one moment, or with a time of long ago."""
        same: dict[str, Any] = {
            "full_name": "Same",
            "cgm": stats({"min": 3, "totalRecords": 7, "timeInVeryLowRecords": 1}),
        }
        for number in range(6):
            ward.add(f"p{number}", created_time=NOON - timedelta(days=number), **same)
        for sort in self.SORTS:
            for direction in "+-":
                assert ward.sorted_by(direction + sort[1:]) == [f"p{number}" for number in range(6)]

    @pytest.mark.parametrize("sort", SORTS)
    def test_rule_pages_neither_overlap_nor_skip(self, ward: Ward, sort: str) -> None:
        random = Random(7)
        patients = {f"p{number}": self._patient(random, number) for number in range(23)}
        ward.add_all(patients)
        whole = ward.sorted_by(sort)
        assert sorted(whole) == sorted(patients)
        for query in ({}, {"search": "p"}, {"omitNonStandardRanges": "true"}):
            for limit in (1, 4, 10, 23):
                pages = [ward.sorted_by(sort, limit=limit, offset=at, **query) for at in range(0, 26, limit)]
                assert [name for page in pages for name in page] == whole
                assert all(len(page) == limit for page, after in pairwise(pages) if after)

    def _patient(self, random: Random, number: int) -> dict[str, Any]:
        figures: dict[str, Any] = {"min": random.randrange(3)} if number % 3 else {}
        for field in ("timeInVeryLowRecords", "totalRecords"):
            figures |= flagged(field, random.choice([None, 0, 1]), random.random() < 0.7)
        dates = flagged("lastData", f"2026-02-0{random.randrange(1, 4)}T12:00:00Z", random.random() < 0.7)
        return {
            "birth_date": random.choice([None, "1990-01-01", "1991-01-01"]),
            "reviews": [Review(BOB.id, NOON)] * (number % 2),
            **({"cgm": stats(figures, dates=dates)} if number % 4 else {}),
        }

    def test_a_page_has_ten_patients_unless_it_is_said_otherwise(self, ward: Ward) -> None:
        ward.add(*(f"p{number:02}" for number in range(12)))
        reply = ward.ask()
        assert [patient["fullName"] for patient in reply.json["data"]] == [f"p{number:02}" for number in range(10)]
        assert reply.json["meta"] == {"count": 12, "totalCount": 12}

    @pytest.mark.parametrize("query", [{}, {"search": "p"}, {"sort": "-min", "sortType": "cgm"}, {"cgm.min": "<9"}])
    def test_rule_beyond_the_end_there_is_nobody_and_the_counts_are_right(
        self, ward: Ward, query: dict[str, str]
    ) -> None:
        ward.add("p1", "p2", "p3", cgm=stats({"min": 3}))
        for offset in (3, 4, 1000, 10**9):
            reply = ward.ask(query, offset=offset)
            assert (reply.status, reply.json) == (200, {"data": [], "meta": {"count": 3, "totalCount": 3}})
        assert len(ward.listed(query, offset=2, limit=10)) == 1


@pytest.mark.parametrize("direction", ["+", "-"])
def test_matches_are_found_where_the_order_has_them_last(ward: Ward, direction: str) -> None:
    """The order is not followed to its end for them; missing values and all, the page is the same."""
    first, last = (1, 2) if direction == "+" else (2, 1)
    rest = {
        f"r{n:03}": {"cgm": stats({"timeInVeryHighRecords": first, "timeInTargetPercent": 0.1})} for n in range(200)
    }
    wanted = {
        f"w{n:03}": {"cgm": stats({"timeInVeryHighRecords": last, "timeInTargetPercent": 0.9})} for n in range(90)
    }
    unknown = {
        f"x{n:03}": {"cgm": stats({"timeInTargetPercent": 0.9, "hasTimeInVeryHighRecords": False})} for n in range(9)
    }
    ward.add_all(rest | wanted | unknown)
    query = {"sort": f"{direction}timeInVeryHighRecords", "sortType": "cgm", "cgm.timeInTargetPercent": ">0.5"}
    pages = [ward.listed({**query, "limit": 7, "offset": offset}) for offset in range(0, 105, 7)]
    assert [name for page in pages for name in page] == [*wanted, *unknown]


@pytest.mark.parametrize("kind_of_filter", ["beside it", "elsewhere"])
def test_matches_without_the_value_come_last(ward: Ward, kind_of_filter: str) -> None:
    query = {"beside it": {"cgm.totalRecords": ">1"}, "elsewhere": {"bgm.totalRecords": ">1"}}[kind_of_filter]
    for name, figures in {"none": {}, "high": {"min": 3.5}, "low": {"min": 2.5}}.items():
        ward.add(name, cgm=stats({"totalRecords": 5, **figures}), bgm=stats({"totalRecords": 5}))
    ward.add("other", cgm=stats({"totalRecords": 1, "min": 3.0}), bgm=stats({"totalRecords": 1}))
    assert ward.sorted_by("+min", **query) == ["low", "high", "none"]
    assert ward.sorted_by("-min", **query) == ["high", "low", "none"]
