"""Cadence: schedules the reports of every clinic that is connected through Redox, at the clinic's interval.

The database stores when each clinic is due next, so several processes can do this, and each turn is taken only once. The
first turn is due immediately; after a failure the next turn is due an hour later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select

from clinic_service import clock
from clinic_service.db.dialects import insert_or_update
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, EhrProvider, ReportSchedule
from clinic_service.resources.clinics.errors import ClinicNotFound
from clinic_service.resources.ehr.redox.scheduling import sync_clinic
from clinic_service.resources.settings.schemas import ehr_settings_schema
from clinic_service.unit_of_work import UnitOfWork, run

_log = logging.getLogger(__name__)

AFTER_FAILURE = timedelta(hours=1)
_CADENCES = {"1d": timedelta(days=1), "7d": timedelta(days=7), "14d": timedelta(days=14), "30d": timedelta(days=30)}

_CLINICS = (
    select(Clinic.id, Clinic.ehr_settings, ReportSchedule.cadence, ReportSchedule.last_time, ReportSchedule.next_time)
    .outerjoin(ReportSchedule, ReportSchedule.clinic_id == Clinic.id)
    .where(Clinic.ehr_provider == EhrProvider.REDOX, Clinic.ehr_enabled)
    .order_by(Clinic.id)
)
_CLINIC = _CLINICS.where(Clinic.id == bindparam("clinic_id"))
_SET = insert_or_update(ReportSchedule, "cadence", "last_time", "next_time")
_STORED = select(ReportSchedule.clinic_id)
_END = delete(ReportSchedule).where(ReportSchedule.clinic_id.in_(bindparam("clinic_ids", expanding=True)))


class Round(NamedTuple):
    """The clinics whose reports were scheduled in a round, and those for which this failed."""

    scheduled: list[str]
    failed: list[str]


class _Turn(NamedTuple):
    """When a clinic is due. `is_stored`: whether the database already has a row for it."""

    clinic_id: str
    cadence: str
    last_time: datetime | None
    next_time: datetime
    is_stored: bool


def run_round(database: Database) -> Round:
    """Schedule the reports of all clinics that are due. Raises what the database raises."""
    turns = run(database, lambda uow: list(_turns(uow)), writes=False)
    _end_others(database, turns)
    now, done = clock.now(), Round([], [])
    for turn in turns:
        if turn.next_time <= now:
            _run_turn(database, turn, done)
        elif not turn.is_stored:
            run(database, partial(_set, turn=turn), writes=True)
    return done


def _run_turn(database: Database, turn: _Turn, done: Round) -> None:
    try:
        if run(database, partial(_take, clinic_id=turn.clinic_id), writes=True):
            done.scheduled.append(turn.clinic_id)
    except ClinicNotFound:
        return
    except Exception as error:
        _log.error("reports_not_scheduled", extra={"clinic": turn.clinic_id, "failure": type(error).__name__})
        later = turn._replace(next_time=clock.now() + AFTER_FAILURE)
        run(database, partial(_set, turn=later), writes=True)
        done.failed.append(turn.clinic_id)


def _turns(uow: UnitOfWork) -> Iterator[_Turn]:
    return filter(None, (_turn(row, uow.now) for row in uow.rows(_CLINICS, {})))


def _turn(row: Any, now: datetime) -> _Turn | None:
    """The next turn of a clinic; None without a cadence. A changed cadence counts from the last turn."""
    cadence = ehr_settings_schema.load(row.ehr_settings).scheduled_reports.cadence
    if cadence not in _CADENCES:
        return None
    if row.cadence == cadence:
        return _Turn(row.id, cadence, row.last_time, row.next_time, is_stored=True)
    next_time = row.last_time + _CADENCES[cadence] if row.last_time else now
    return _Turn(row.id, cadence, row.last_time, next_time, is_stored=False)


def _take(uow: UnitOfWork, clinic_id: str) -> bool:
    """Schedule the reports of the clinic. False when another process has taken the turn meanwhile."""
    # Raises ClinicNotFound. The lock prevents other processes from taking the turn.
    uow.clinics.lock(clinic_id)
    row = uow.first(_CLINIC, {"clinic_id": clinic_id})
    turn = _turn(row, uow.now) if row else None
    if turn is None or turn.next_time > uow.now:
        return False
    sync_clinic(uow, clinic_id)
    _set(uow, turn._replace(last_time=uow.now, next_time=uow.now + _CADENCES[turn.cadence]))
    return True


def _set(uow: UnitOfWork, turn: _Turn) -> None:
    row = {name: getattr(turn, name) for name in ("clinic_id", "cadence", "last_time", "next_time")}
    # The clinic may have been deleted meanwhile.
    with suppress(ClinicNotFound):
        uow.clinics.lock(turn.clinic_id)
        uow.insert(_SET, row)


def _end_others(database: Database, turns: list[_Turn]) -> None:
    """Delete the turns of clinics without a cadence. If they get a cadence again, they are due immediately."""
    stored = run(database, lambda uow: {row.clinic_id for row in uow.rows(_STORED, {})}, writes=False)
    ended = stored - {turn.clinic_id for turn in turns}
    if ended:
        run(database, lambda uow: uow.execute(_END, {"clinic_ids": sorted(ended)}), writes=True)
