"""ListPatients compared with a model of it: random clinics, random queries, each plan by which a page can be found.

The examples are the same in every run and on both engines, so the engines agree with each other as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, true

from clinic_service.db.engine import Database
from clinic_service.models import Patient, Review
from clinic_service.resources.patients.listing.columns import CLINIC_ID, PATIENTS, Ids
from clinic_service.resources.patients.listing.filters import Filter
from clinic_service.resources.patients.listing.planner import narrowed
from clinic_service.resources.patients.listing.query import read_query
from clinic_service.resources.patients.listing.sorting import Order
from clinic_service.unit_of_work import reading
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.patient_list_model import listed
from tests.support.patient_lists import Ward, flag_of
from tests.support.rounds import rounds

NAMES = [
    *(None, "", "Ann", "ann", "Änn", "ANN LEE", "Ann-Lee", "Bo.", "Жук", "жУк", "日本", "ßa", "ssa", "Øl", "ol", "  x"),
    *("Zoë", "zoe", "%_", "x" * 200),
]
SEARCHES = [
    "n",
    "AN",
    " ",
    ".",
    "Ж",
    "ss",
    "ß",
    "ä",
    "a\u0308",
    "1990",
    "@x",
    "ë",
    "zzz",
    "-",
    "%",
    "日",
    "N L",
    "m-1",
    "X" * 30,
]
DATES = [None, "1990-01-01", "1990-01-02", "1991-01-01"]
TIMES = ["2026-02-01T12:00:00.000Z", "2026-02-02T12:00:00.000Z", "2026-02-02T12:00:00.001Z", "2026-02-03T12:00:00.000Z"]
RANGES: list[dict[str, Any] | None] = [
    *(None, None, None, {"type": "preset", "preset": "adaStandard"}, {"type": "preset", "preset": "adaHighRisk"}),
    {"type": "custom", "custom": {"name": "mine", "thresholds": []}},
]
# With flag and without, with an index and without.
FLAGGED = ("timeInVeryLowRecords", "timeInTargetPercent", "totalRecords", "timeInLowPercent")
FLAGLESS = ("timeInTargetPercentDelta", "min", "averageGlucoseMmolDelta")
WHOLE = ("timeInVeryLowRecords", "totalRecords")
DATE_FIELDS = ("lastUploadDate", "lastData", "firstData", "outdatedSince")
VALUES = [None, 0, 1, 1, 2.5, 3, -1]
KINDS = ("cgm", "bgm")


def a_patient(seed: int, tags: Sequence[str], sites: Sequence[str]) -> dict[str, Any]:
    """Somebody as clients see them, the same for the same `seed`."""
    random = Random(seed)
    return {
        "fullName": random.choice(NAMES),
        "email": random.choice([None, "a.b@x.y", "ann@z.y"]),
        "mrn": random.choice([None, None, "M-1", "m-2é"]),
        "birthDate": random.choice(DATES),
        "reviews": sorted(random.sample(TIMES, random.choice([0, 0, 1, 2])), reverse=True),
        "tags": random.sample(tags, random.choice([0, 0, 1, 2, 3])),
        "sites": random.sample(sites, random.choice([0, 0, 1, 2])),
        "glycemicRanges": random.choice(RANGES),
        "summary": {f"{kind}Stats": _stats(random) for kind in KINDS if random.random() < 0.8},
    }


def _stats(random: Random) -> dict[str, Any]:
    made: dict[str, Any] = {"periods": {period: _figures(random) for period in ("7d", "14d") if random.random() < 0.8}}
    if random.random() < 0.9:
        times = [None, "0001-01-01T00:00:00Z", *TIMES, *TIMES]
        made["dates"] = {flag_of(name): random.random() < 0.7 for name in DATE_FIELDS}
        made["dates"] |= {name: time for name in DATE_FIELDS if (time := random.choice(times))}
    return made


def _figures(random: Random) -> dict[str, Any]:
    values = {name: random.choice(VALUES) for name in (*FLAGGED, *FLAGLESS)}
    # A flag may contradict its value.
    flags = {flag_of(name): bool(values[name]) if random.random() < 0.7 else random.random() < 0.5 for name in FLAGGED}
    return flags | {name: value for name, value in values.items() if value is not None}


def columns(patient: Mapping[str, Any], tags: Mapping[str, Any], sites: Mapping[str, Any]) -> dict[str, Any]:
    """What a row that is shown as `patient` is made with."""
    return {
        "full_name": patient["fullName"],
        "email": patient["email"],
        "mrn": patient["mrn"],
        "birth_date": patient["birthDate"],
        "reviews": [Review(BOB.id, datetime.fromisoformat(time)) for time in patient["reviews"]],
        "tags": [tags[one] for one in patient["tags"]],
        "sites": [sites[one] for one in patient["sites"]],
        "glycemic_ranges": patient["glycemicRanges"],
        **{kind: patient["summary"].get(f"{kind}Stats") for kind in KINDS},
    }


def _condition(field: str) -> st.SearchStrategy[str]:
    numbers = ["0", "1", "-1", "3"] if field in WHOLE else ["0", "1.0", "-1.", "2.5", ".5", "+2"]
    return st.builds(str.__add__, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from(numbers))


# Tags and sites by number, because their ids are not known before the clinic is there.
_LINKS = ["0", "1", "0,1", "1,2", "_", "_,0", "x", "9"]
FILTERS: dict[str, st.SearchStrategy[str]] = {
    "search": st.sampled_from(SEARCHES),
    "tags": st.sampled_from(_LINKS),
    "sites": st.sampled_from(_LINKS),
    "lastReviewed": st.sampled_from(TIMES),
    "omitNonStandardRanges": st.sampled_from(["true", "true", "false"]),
    **{f"{kind}.{end}": st.sampled_from(TIMES) for kind in KINDS for end in ("lastDataFrom", "lastDataTo")},
    **{f"{kind}.{field}": _condition(field) for kind in KINDS for field in (*FLAGGED, *FLAGLESS)},
}
SORTS = ["fullName", "birthDate", "lastReviewed", *DATE_FIELDS, *FLAGGED, *FLAGLESS]


@st.composite
def a_query(draw: st.DrawFn) -> dict[str, str]:
    names = draw(st.lists(st.sampled_from(sorted(FILTERS)), max_size=3, unique=True))
    query = {name: draw(FILTERS[name]) for name in names}
    if draw(st.integers(0, 4)):
        query["sort"] = draw(st.sampled_from("+-")) + draw(st.sampled_from(SORTS))
        query["sortType"] = draw(st.sampled_from(KINDS))
        # So often that an index serves both.
        if draw(st.booleans()) and f"{query['sortType']}.{query['sort'][1:]}" in FILTERS:
            name = f"{query['sortType']}.{query['sort'][1:]}"
            query[name] = draw(FILTERS[name])
    return query | ({"period": "7d"} if draw(st.booleans()) else {})


class Clinic:
    """A clinic of patients of whom all is known."""

    def __init__(self, api: Client, database: Database, seeds: Sequence[int]) -> None:
        self.ward = Ward(api, database)
        tags = {tag.id: tag for tag in (self.ward.tag(name) for name in "abc")}
        sites = {site.id: site for site in (self.ward.site(name) for name in "abc")}
        self.ids = {"tags": list(tags), "sites": list(sites)}
        made = [a_patient(seed, self.ids["tags"], self.ids["sites"]) for seed in seeds]
        self.patients = [{"name": str(number), **patient} for number, patient in enumerate(made)]
        self.ward.add_all({patient["name"]: columns(patient, tags, sites) for patient in self.patients})

    def asked(self, query: Mapping[str, str]) -> dict[str, str]:
        """`query` with the ids that its numbers stand for."""
        return {name: self._ids(name, text) if name in self.ids else text for name, text in query.items()}

    def _ids(self, parameter: str, text: str) -> str:
        known = dict(enumerate(self.ids[parameter]))
        return ",".join(known.get(int(item), "f" * 24) if item.isdigit() else item for item in text.split(","))

    def page(self, query: Mapping[str, str], limit: int, offset: int, matching: int) -> list[str]:
        """A page as it is answered, with the right counts."""
        reply = self.ward.ask(query, limit=limit, offset=offset)
        assert reply.status == 200, reply.json
        assert reply.json["meta"] == {"count": matching, "totalCount": len(self.patients)}
        return [self.ward.names[patient["id"]] for patient in reply.json["data"]]

    def by_all_plans(self, query: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
        """The whole list, found by every plan."""
        filters, order, _, _ = read_query(read(query))
        plans = [*scans(order, filters)]
        plans += [Plan("driving filter", [order.sorted(matches)]) for matches in all_matches(filters)]
        clinic_id = self.ward.clinic.id
        with reading(self.ward.database) as unit:
            rows = unit.execute(select(Patient.id, Patient.user_id).where(Patient.clinic_id == clinic_id))
            names = {row.id: self.ward.names[row.user_id] for row in rows}
            for plan, statements in plans:
                found = [unit.execute(statement, {"clinic_id": clinic_id}).scalars() for statement in statements]
                yield plan, [names[one] for segment in found for one in segment]


class Plan(NamedTuple):
    """The statements that find the whole list when they are sent one after the other."""

    name: str
    statements: list[Any]


def all_matches(filters: Sequence[Filter]) -> Iterator[Ids]:
    """All matches, in every way in which they can be found without the order."""
    if not filters:
        yield select(PATIENTS.c.id).where(PATIENTS.c.clinic_id == CLINIC_ID)
    for driving in filters:
        others = [one for one in filters if one is not driving]
        for ids in (*(lookup.matches for lookup in driving.index_lookups), driving.matches):
            yield narrowed(ids, others)


def scans(order: Order, filters: Sequence[Filter]) -> Iterator[Plan]:
    """The list, found by scans in the sort order."""
    rows, name = order.sort_column
    residual = [one for one in filters if one.rows == rows]
    others = [one for one in filters if one not in residual]
    conditions = [condition for one in residual for condition in one.row_conditions(rows.table, name)]
    for plan, of_rows, probed in (("probed", [], filters), ("residual", conditions, others)):
        segments = order.segments(of_rows)
        yield Plan(plan, [s.ids([one.holds(s.patient_id, correlated=True) for one in probed]) for s in segments])
    for matches in all_matches(filters):
        yield Plan(
            "materialized matches",
            [
                segment.ids([] if segment.only_matches else [segment.patient_id.in_(matches).is_(true())])
                for segment in order.segments([], matches)
            ],
        )


def read(query: Mapping[str, str]) -> dict[str, Any]:
    """The values of parameters, as the pipeline reads them."""
    times = {name for name in query if name == "lastReviewed" or ".lastData" in name}
    values: dict[str, Any] = {"limit": 10}
    for name, text in query.items():
        values[name] = datetime.fromisoformat(text) if name in times else text
    if "omitNonStandardRanges" in query:
        values["omitNonStandardRanges"] = query["omitNonStandardRanges"] == "true"
    return values | {name: query[name].split(",") for name in ("tags", "sites") if name in query}


@settings(
    max_examples=rounds(15),
    deadline=None,
    derandomize=True,
    database=None,
    # A failure says what was asked; to look for a smaller clinic that shows it takes minutes (Phase.shrink).
    phases=[Phase.generate],
    # The database is emptied when all examples are done; each has a clinic of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    seeds=st.integers(0, 40).flatmap(lambda size: st.lists(st.integers(0, 10**6), min_size=size, max_size=size)),
    queries=st.lists(a_query(), min_size=3, max_size=6),
    limit=st.sampled_from([3, 7, 50]),
    offset=st.integers(0, 45),
)
def test_the_list_is_that_of_the_model(
    api: Client, database: Database, seeds: list[int], queries: list[dict[str, str]], limit: int, offset: int
) -> None:
    clinic = Clinic(api, database, seeds)
    for number, numbered in enumerate(queries):
        query = clinic.asked(numbered)
        expected = [patient["name"] for patient in listed(clinic.patients, query)]
        for plan, names in clinic.by_all_plans(query):
            assert names == expected, (plan, query)
        # All pages of the first query, and a page of the others.
        for start in [offset] if number else range(0, len(expected) + limit, limit):
            assert clinic.page(query, limit, start, len(expected)) == expected[start : start + limit], query
