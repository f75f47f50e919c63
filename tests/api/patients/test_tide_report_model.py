"""TideReport against the same report in plain Python, over made-up clinics, in each of the two ways it can be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Patient
from clinic_service.resources.patients.listing.planner import FEW
from clinic_service.resources.patients.tide.report import TideQuery, find_tide_patients
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.support.cast import BOB, Somebody
from tests.support.client import Client
from tests.support.patient_lists import changes_of
from tests.support.rows import make_data_source, make_patient, storing, tag_patient
from tests.support.tide import CUTOFF, DEFAULTS, NOW, OTHERS, Tide, cgm
from tests.support.tide_model import (
    MOST,
    MOST_WITHOUT_DATA,
    TAGS,
    Asked,
    Person,
    expected,
    random_people,
    random_question,
)

# From so many candidates on, categories are read along their indexes: never with these clinics, and always.
BY_FIGURES, ALONG_INDEX = FEW, 0
QUESTIONS = 6
# Of two clinics each. The last one has more patients than a report shows.
SIZES = {**dict.fromkeys(range(8), (10, 40)), 29: (5, 250)}


class MadeUpClinic:
    """A clinic of such people in the database, and its reports."""

    def __init__(self, api: Client, database: Database, people: Sequence[Person], random: Random) -> None:
        self.tide, self._database = Tide(api, database), database
        self.tags = {"Pump": self.tide.pump, **{name: self.tide.tag(name) for name in TAGS[1:]}}
        with storing(database) as unit:
            records = {person.name: self._add(unit, person) for person in people}
            given = [changes_of(records[p.name], {"cgm": p.summary}) for p in people if p.summary is not None]
            # Not in the order of their creation, which rows must not depend on.
            random.shuffle(given)
            unit.summaries.apply([change for changes in given for change in changes])
        self._names = {patient.id: name for name, patient in records.items()}

    def _add(self, unit: UnitOfWork, person: Person) -> Patient:
        user_id = f"{len(self.tide.names) + 1:010x}"
        patient = make_patient(unit, self.tide.clinic, Somebody(user_id, person.name, ""), email=None)
        tag_patient(unit, patient, *(self.tags[name] for name in sorted(person.tags)))
        for provider, state in person.sources:
            make_data_source(unit, patient, provider, state=state)
        self.tide.names[user_id] = person.name
        return patient

    def report(self, asked: Asked, few: int) -> dict[str, list[str]]:
        ids = [self.tags[name].id for name in asked.tags]
        query = TideQuery(asked.period, ids, asked.cutoff, asked.categories, asked.with_no_data)
        with reading(self._database) as unit, unit.snapshot():
            found = find_tide_patients(unit, self.tide.clinic.id, query, NOW, few)
        return {category: [self._names[patient_id] for patient_id in ids] for category, ids in found.items()}

    def answer(self, asked: Asked) -> Mapping[str, Any]:
        """What is answered to a request for the same report."""
        reply = self.tide.ask(
            "",
            BOB,
            period=asked.period,
            tags=[self.tags[name].id for name in asked.tags],
            lastDataCutoff=asked.cutoff,
            categories=asked.categories,
            excludeNoData=str(not asked.with_no_data).lower(),
        )
        assert reply.status == 200, reply.json
        results: Mapping[str, Any] = reply.json["results"]
        return results


def made_up(seed: int) -> tuple[list[list[Person]], list[Asked]]:
    """Two clinics, in which the same users are different people, and questions."""
    random = Random(seed)
    return [random_people(random, size) for size in SIZES[seed]], [random_question(random) for _ in range(QUESTIONS)]


@pytest.mark.parametrize("seed", SIZES)
def test_rule_both_ways_report_what_the_documents_say(api: Client, database: Database, seed: int) -> None:
    people_of, questions = made_up(seed)
    clinics = [MadeUpClinic(api, database, people, Random(seed)) for people in people_of]
    for people, clinic in zip(people_of, clinics, strict=True):
        for asked in questions:
            right = expected(people, asked)
            assert clinic.report(asked, BY_FIGURES) == right, asked
            assert clinic.report(asked, ALONG_INDEX) == right, asked
        assert_shown(clinic, people, questions[0])


def test_rule_equal_values_come_by_creation_also_beyond_the_limit(api: Client, database: Database) -> None:
    alike = {"timeInVeryLowPercent": 0.5, "timeCGMUsePercent": 0.5}
    people = [Person(f"{number}", frozenset(TAGS), cgm(alike), ()) for number in range(MOST + 20)]
    clinic = MadeUpClinic(api, database, people, Random(1))
    for category in alike:
        asked = Asked("14d", TAGS, CUTOFF, [category], with_no_data=False)
        for few in (BY_FIGURES, ALONG_INDEX):
            assert clinic.report(asked, few) == {category: [f"{number}" for number in range(MOST)]}


def assert_shown(clinic: MadeUpClinic, people: Sequence[Person], asked: Asked) -> None:
    """The answer to a request has the same people, each with the figures of its own document."""
    answer = clinic.answer(asked)
    names = {category: [entry["patient"]["fullName"] for entry in entries] for category, entries in answer.items()}
    assert names == expected(people, asked)
    by_name = {person.name: person for person in people}
    for entry in (entry for entries in answer.values() for entry in entries):
        person = by_name[entry["patient"]["fullName"]]
        figures = {name: value for name, value in entry.items() if name not in ("patient", "lastData")}
        assert figures == {n: value for n, value in person.figures(asked.period).items() if not n.startswith("has")}
        assert ("lastData" in entry) == (person.last_data is not None)


def test_the_made_up_reports_are_worth_comparing() -> None:
    """Every category has somebody in it, often, and the limits are reached."""
    sizes: Counter[str] = Counter()
    full = Counter[str]()
    for seed in SIZES:
        clinics, questions = made_up(seed)
        for report in (expected(people, asked) for people in clinics for asked in questions):
            without_data = report.pop("noData", [])
            sizes.update({category: len(names) for category, names in report.items()}, noData=len(without_data))
            full["categories"] += sum(map(len, report.values())) == MOST
            full["noData"] += len(without_data) == MOST_WITHOUT_DATA
    assert min(sizes[category] for category in (*DEFAULTS, *OTHERS, "noData")) >= 20, sizes
    assert min(full["categories"], full["noData"]) >= 1, full
