"""TideReport: what a report costs, and the one moment it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from sqlalchemy import event

from clinic_service.db.engine import Database
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import BOB, Somebody
from tests.support.client import Client
from tests.support.rows import storing
from tests.support.summaries import cgm_stats, put_summaries
from tests.support.tide import DEFAULTS, Tide, cgm
from tests.support.units import number_of_statements

NOBODY: dict[str, list[Any]] = {category: [] for category in [*DEFAULTS, "noData"]}


@pytest.fixture
def tide(api: Client, database: Database) -> Tide:
    return Tide(api, database)


class TestCost:
    def grow(self, tide: Tide, clinic_of: int) -> None:
        """Patients of all categories, with all that is shown of them."""
        for number in range(clinic_of):
            name = f"{len(tide.names)}"
            figure = ("timeInVeryLowPercent", "timeInAnyLowPercent", "timeInAnyHighPercent")[number % 3]
            tide.add(name, cgm=cgm({figure: 0.5, "averageGlucoseMmol": 8.5}), tags=[tide.pump])
            tide.add(f"{name} without data", tags=[tide.pump])
            for patient in (name, f"{name} without data"):
                tide.connect(patient, dexcom="connected")

    def test_rule_the_number_of_statements_is_fixed(self, tide: Tide, database: Database) -> None:
        self.grow(tide, 2)
        few = number_of_statements(database, tide.ask)
        self.grow(tide, 11)
        many = number_of_statements(database, tide.ask)
        # Who asks; the beginning and the end of the snapshot; who is how many, and their figures; those without data and
        # how many they could be; the patients, their tags, their sources, and the figures that are shown.
        assert few == many == 11

    def test_excluding_those_without_data_saves_their_questions(self, tide: Tide, database: Database) -> None:
        self.grow(tide, 2)
        assert number_of_statements(database, lambda: tide.ask("", BOB, excludeNoData="true")) == 9


class TestSnapshot:
    """Rule: all of the report is of one moment, whatever is committed while it is made."""

    def test_patients_who_leave_are_shown_as_they_were(self, tide: Tide, database: Database) -> None:
        self.populate(tide)
        before = tide.ask()

        def leave(unit: UnitOfWork) -> None:
            for user_id in tide.names:
                unit.session.delete(unit.patients.get(tide.clinic.id, user_id))

        with between(database, "FROM patient_tags", leave) as happened:
            assert tide.ask().json == before.json
        assert happened
        assert tide.ask().json["results"] == NOBODY

    def test_nobody_is_reported_for_figures_that_are_not_shown(self, tide: Tide, database: Database) -> None:
        self.populate(tide)
        before = tide.ask()

        def improve(unit: UnitOfWork) -> None:
            for user_id, name in tide.names.items():
                put_summaries(unit, Somebody(user_id, name, ""), cgmStats=cgm_stats(Random(1)))

        with between(database, "FROM patient_tags", improve) as happened:
            assert tide.ask().json == before.json
        assert happened
        assert tide.ask().json != before.json

    def populate(self, tide: Tide) -> None:
        tide.have(low={"timeInVeryLowPercent": 0.02}, high={"timeInAnyHighPercent": 0.5})
        tide.add("no data", tags=[tide.pump])
        assert sum(map(len, tide.results().values())) == 3


@contextmanager
def between(database: Database, part: str, work: Callable[[UnitOfWork], None]) -> Iterator[list[str]]:
    """Once the block has asked the first question with that part, `work` is done and committed by somebody else."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if part in statement and not asked:
            asked.append(statement)
            with storing(database) as unit:
                work(unit)

    event.listen(database.read_engine, "after_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.read_engine, "after_cursor_execute", note)
