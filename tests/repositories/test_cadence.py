"""The cadence of reports, on both engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.models import ReportSchedule, ScheduledReportOrder
from clinic_service.resources.ehr.redox import cadence
from clinic_service.resources.ehr.redox.cadence import Round, run_round
from clinic_service.resources.ehr.redox.messages import receive
from clinic_service.resources.ehr.redox.scheduling import sync_clinic
from tests.ehr.exchange import NOW
from tests.support.cast import CAROL
from tests.support.ehr import ehr_columns, make_ehr_clinic, make_subscription, redox_order
from tests.support.rows import make_patient, stored, storing
from tests.support.statements import counting

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOTHING = Round([], [])


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def _settings(cadence: str = "14d", **settings: Any) -> dict[str, Any]:
    return {"scheduledReports": {"cadence": cadence, "onUploadEnabled": False}, **settings}


def _clinic(database: Database, cadence: str = "14d", **settings: Any) -> str:
    """A clinic with one subscribed patient; its id."""
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit, **_settings(cadence, **settings))
        patient = make_patient(unit, clinic, CAROL)
        made = redox_order(log_id=clinic.id)
        make_subscription(unit, patient, receive(unit, made, json.dumps(made)))
        return clinic.id


def _change(database: Database, clinic_id: str, cadence: str = "14d", **settings: Any) -> None:
    with storing(database) as unit:
        for name, value in ehr_columns(**_settings(cadence, **settings)).items():
            setattr(unit.clinics.get(clinic_id), name, value)


def _round(database: Database, after: timedelta = timedelta(0)) -> Round:
    with clock.frozen(NOW + after):
        return run_round(database)


def _next(database: Database) -> list[datetime]:
    return [row.next_time for row in stored(database, ReportSchedule)]


def test_first_turn_comes_at_once(database: Database) -> None:
    clinic_id = _clinic(database)
    assert _round(database) == Round([clinic_id], [])
    [order] = stored(database, ScheduledReportOrder)
    assert (order.clinic_id, order.user_id) == (clinic_id, CAROL.id)


@pytest.mark.parametrize(("cadence", "days"), [("1d", 1), ("7d", 7), ("14d", 14), ("30d", 30), ("", 14)])
def test_next_turn_comes_at_the_cadence(database: Database, cadence: str, days: int) -> None:
    clinic_id = _clinic(database, cadence)
    _round(database)
    assert _round(database, days * DAY - timedelta(milliseconds=1)) == NOTHING
    assert _round(database, days * DAY) == Round([clinic_id], [])
    assert _round(database, days * DAY + HOUR) == NOTHING
    assert len(stored(database, ScheduledReportOrder)) == 2


@pytest.mark.parametrize("settings", [{"provider": "xealth"}, {"enabled": False}, {"cadence": "DISABLED"}])
def test_clinics_that_want_none_get_none(database: Database, settings: dict[str, Any]) -> None:
    _clinic(database, **settings)
    assert _round(database) == NOTHING
    assert stored(database, ReportSchedule) == []


@pytest.mark.parametrize("settings", [{"provider": "xealth"}, {"enabled": False}, {"cadence": "DISABLED"}])
def test_clinic_that_wants_them_again_begins_at_once(database: Database, settings: dict[str, Any]) -> None:
    clinic_id = _clinic(database)
    _round(database)
    _change(database, clinic_id, **settings)
    assert _round(database, HOUR) == NOTHING
    assert stored(database, ReportSchedule) == []
    _change(database, clinic_id)
    assert _round(database, 2 * HOUR) == Round([clinic_id], [])


def test_another_cadence_counts_from_the_last_turn(database: Database) -> None:
    clinic_id = _clinic(database)
    _round(database)
    _change(database, clinic_id, "7d")
    assert _round(database, DAY) == NOTHING
    assert _next(database) == [NOW + 7 * DAY]
    _change(database, clinic_id, "1d")
    assert _round(database, 2 * DAY) == Round([clinic_id], [])
    assert _next(database) == [NOW + 3 * DAY]


def test_after_a_failure_the_next_turn_comes_in_an_hour_and_others_are_not_delayed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted(_clinic(database, sourceId=name) for name in ("one", "two"))

    def fail(unit: Any, clinic_id: str) -> None:
        if clinic_id == first:
            raise Unavailable
        sync_clinic(unit, clinic_id)

    monkeypatch.setattr(cadence, "sync_clinic", fail)
    assert _round(database) == Round([second], [first])
    monkeypatch.undo()
    assert _round(database, HOUR - timedelta(milliseconds=1)) == NOTHING
    assert _round(database, HOUR) == Round([first], [])


def test_clinic_that_is_deleted_takes_its_turn_with_it(database: Database) -> None:
    clinic_id = _clinic(database)
    _round(database)
    with storing(database) as unit:
        unit.patients.remove(unit.patients.all_of_user(CAROL.id), None)
        unit.clinics.remove(unit.clinics.lock(clinic_id), None)
    assert _round(database, 14 * DAY) == NOTHING
    assert stored(database, ReportSchedule) == []


def test_clinic_that_is_deleted_meanwhile_is_no_failure(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic_id = _clinic(database)
    usual = cadence._end_others

    def delete_and_go_on(database: Database, turns: Any) -> None:
        usual(database, turns)
        with storing(database) as unit:
            unit.patients.remove(unit.patients.all_of_user(CAROL.id), None)
            unit.clinics.remove(unit.clinics.lock(clinic_id), None)

    monkeypatch.setattr(cadence, "_end_others", delete_and_go_on)
    assert _round(database) == NOTHING


def test_each_turn_is_taken_once_however_many_take_turns(database: Database) -> None:
    clinic_ids = sorted(_clinic(database, sourceId=f"source {number}") for number in range(6))
    with ThreadPoolExecutor(3) as pool:
        rounds = list(pool.map(run_round, [database] * 3))
    assert sorted(clinic_id for done in rounds for clinic_id in done.scheduled) == clinic_ids
    assert [done.failed for done in rounds] == [[], [], []]
    assert len(stored(database, ScheduledReportOrder)) == 6


def test_a_round_where_nothing_is_due_only_reads(database: Database) -> None:
    for number in range(3):
        _clinic(database, sourceId=f"source {number}")
    _round(database)
    with counting(database) as sent:
        _round(database, HOUR)
    assert len(sent) <= 2
    assert all(statement.startswith("SELECT") for statement in sent)
