"""ListPatients: one moment and a fixed number of statements, whatever is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, select

from clinic_service.db.engine import Database
from clinic_service.models import Patient, Tag
from clinic_service.unit_of_work import writing
from tests.support.client import Client, Reply
from tests.support.patient_lists import Ward, changes_of, flagged, stats
from tests.support.rows import stored, storing
from tests.support.summaries import bgm_stats, cgm_stats
from tests.support.units import number_of_statements

CGM = {"sortType": "cgm"}
# Each is answered in another way.
QUERIES: dict[str, dict[str, str]] = {
    "names": {},
    "along an index": {"sort": "-timeInVeryLowRecords", "sortType": "cgm"},
    "without an index": {"sort": "+totalRecords", "sortType": "bgm"},
    "one filter": {"cgm.min": "<4"},
    "an index for filter and sort": {
        "sort": "-lastData",
        "sortType": "cgm",
        "cgm.lastDataFrom": "2026-01-01T00:00:00Z",
    },
    "several filters": {
        "cgm.timeInTargetPercent": ">0.1",
        "search": "a",
        "tags": "{tag}",
        "sort": "-max",
        "sortType": "cgm",
    },
    "nobody": {"tags": "0" * 24},
}


@contextmanager
def before_statement(database: Database, number: int, work: Callable[[], None]) -> Iterator[list[str]]:
    """Does `work` before a unit that reads sends statement `number`, the first being 0; gives what was sent."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if len(sent) == number:
            work()
        sent.append(statement)

    event.listen(database.read_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.read_engine, "before_cursor_execute", note)


def a_patient(random: Random, tag: Tag) -> dict[str, Any]:
    figures = {"min": 3, "max": random.randrange(10, 20), "timeInTargetPercent": 0.5}
    figures |= flagged("timeInVeryLowRecords", random.randrange(5))
    dates = flagged("lastData", "2026-02-03T12:00:00Z")
    return {"cgm": stats(figures, dates=dates), "bgm": stats(flagged("totalRecords", 3)), "tags": [tag]}


def asked(ward: Ward, query: dict[str, str]) -> dict[str, str]:
    [tag] = stored(ward.database, Tag)
    return {name: value.format(tag=tag.id) for name, value in query.items()}


def change_everything(ward: Ward) -> None:
    """One patient leaves, one comes, one gets another name, and one another summary and no tag."""
    [tag] = stored(ward.database, Tag)
    with writing(ward.database) as unit:
        of_ward = select(Patient).where(Patient.clinic_id == ward.clinic.id).order_by(Patient.id)
        leaves, renamed, changed, _ = unit.session.scalars(of_ward)
        unit.session.delete(leaves)
        renamed.full_name = "another"
        unit.summaries.apply(changes_of(changed, {"cgm": stats({"min": 2, "timeInTargetPercent": 0.9, "max": 21})}))
        unit.flush()
    ward.add("a5", **a_patient(Random(2), tag))


@pytest.mark.parametrize("name", QUERIES)
def test_rule_page_and_counts_are_of_one_moment(api: Client, database: Database, name: str) -> None:
    """Whatever is written between two statements of a request is in all of the answer, or in none of it."""
    seen = []
    for number in count():
        ward = _fresh(api, database)
        query = asked(ward, QUERIES[name])
        before = ward.ask(query).json
        with before_statement(database, number, lambda ward=ward: change_everything(ward)) as sent:  # type: ignore[misc]
            reply = ward.ask(query)
        if len(sent) <= number:
            break
        after = ward.ask(query).json
        assert reply.json in (before, after), sent[:number]
        seen.append(_which(reply, before, after))
    # From the first answer of the database on, nothing new is seen.
    assert sorted(seen) == seen
    assert len(seen) >= 4
    if name != "nobody":
        assert {"1 after", "2 before"} <= set(seen)


def _fresh(api: Client, database: Database) -> Ward:
    with storing(database) as unit:
        for tag in unit.session.query(Tag):
            unit.session.delete(tag)
    ward = Ward(api, database)
    tag = ward.tag("a")
    ward.add_all({name: a_patient(Random(1), tag) for name in ("a1", "a2", "a3", "a4")})
    return ward


def _which(reply: Reply, before: Any, after: Any) -> str:
    if before == after:
        return "the same"
    return "1 after" if reply.json == after else "2 before"


@pytest.mark.parametrize("name", QUERIES)
def test_rule_the_number_of_statements_is_fixed(api: Client, database: Database, name: str) -> None:
    few, many = Ward(api, database), Ward(api, database)
    numbers = []
    for ward, size in ((few, 2), (many, 60)):
        random, tag = Random(9), ward.tag("a")
        for number in range(size):
            full = {"cgm": cgm_stats(random), "bgm": bgm_stats(random)}
            ward.add(f"a{number}", **a_patient(random, tag) | (full if name == "names" else {}))
        query = {key: value.format(tag=tag.id) for key, value in QUERIES[name].items()} | {"limit": "50"}
        assert len(ward.ask(query).json["data"]) == (0 if name == "nobody" else min(size, 50))
        numbers.append(number_of_statements(database, lambda ward=ward, query=query: ward.ask(query)))  # type: ignore[misc]
    assert numbers[0] == numbers[1]
    # Whether the caller may; BEGIN, the best filter, the counts, the page, the patients, what belongs to them, COMMIT.
    # An order that has no index for it is gone through in two statements, one along an index in five at most.
    assert numbers[0] <= 8, numbers


def test_the_last_page_takes_few_statements_more(api: Client, database: Database) -> None:
    ward = Ward(api, database)
    for number in range(10):
        figures = flagged("timeInVeryLowRecords", None if number % 3 else number, number % 2 == 0)
        ward.add(f"a{number}", **({"cgm": stats(figures)} if number < 8 else {}))
    query = {"sort": "-timeInVeryLowRecords", "sortType": "cgm", "limit": "1"}
    numbers = [number_of_statements(database, lambda at=at: ward.ask(query, offset=at)) for at in range(10)]  # type: ignore[misc]
    # For each of the four ranks before the page, one to see that it ends before, and one to count it.
    assert numbers == sorted(numbers)
    assert numbers[-1] - numbers[0] <= 8
