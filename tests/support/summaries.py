"""Summaries as the data service sends them: made up, but valid, and the same for the same state of `random`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
from sqlalchemy import select

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.demo import figures as demo
from clinic_service.demo.summaries import CONFIG
from clinic_service.models import STATISTICS, Patient, Summary, SummaryDocument
from clinic_service.models.statistics import BGM, CGM, DELTA, FIELDS, PERIODS, Field
from clinic_service.resources.summaries import service
from clinic_service.resources.summaries.projection import given_summaries
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import Somebody
from tests.support.rows import storing

# No date of a summary is later.
NEWEST = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Figures without a flag are required, but these two for meters.
_OPTIONAL = {(BGM, "standardDeviation"), (BGM, "coefficientOfVariation")}
_DAYS = 14


def cgm_stats(random: Random, *, periods: Iterable[str] = PERIODS, gaps: float = 0.0, **members: Any) -> dict[str, Any]:
    """The summary of a continuous monitor's data, with all 74 figures and 31 flags for each of the `periods`.

    `gaps` is the share of figures that could not be computed, and of counts that are zero. `members` replace whole
    members of the summary (`id`, `config`, `dates`, `periods`); None leaves one out.
    """
    return _stats(CGM, random, periods, gaps, members)


def bgm_stats(random: Random, *, periods: Iterable[str] = PERIODS, gaps: float = 0.0, **members: Any) -> dict[str, Any]:
    """The summary of a meter's data, with all 48 figures and 19 flags for each period; as `cgm_stats`."""
    return _stats(BGM, random, periods, gaps, members)


def _stats(kind: str, random: Random, periods: Iterable[str], gaps: float, members: dict[str, Any]) -> dict[str, Any]:
    made = {
        "id": f"{random.getrandbits(96):024x}",
        "config": CONFIG,
        "dates": dates(random),
        "periods": {period: figures(kind, random, gaps) for period in periods},
    }
    return {name: value for name, value in (made | members).items() if value is not None}


def dates(random: Random, **members: Any) -> dict[str, Any]:
    """The dates of a summary that is up to date; `members` replace some, None leaves one out."""
    updated = NEWEST - timedelta(milliseconds=random.randrange(86_400_000))
    uploaded = updated - timedelta(seconds=random.randrange(1, 600))
    last = uploaded - timedelta(minutes=random.randrange(30 * 1440))
    first = last - timedelta(minutes=random.randrange(365 * 1440))
    made = {
        "lastUpdatedDate": clock.to_wire(updated),
        "lastUpdatedReason": ["UPLOAD_COMPLETED"],
        "hasFirstData": True,
        "firstData": clock.to_wire(first),
        "hasLastData": True,
        "lastData": clock.to_wire(last),
        "hasLastUploadDate": True,
        "lastUploadDate": clock.to_wire(uploaded),
        "hasOutdatedSince": False,
    }
    return {name: value for name, value in (made | members).items() if value is not None}


def figures(kind: str, random: Random, gaps: float = 0.0) -> dict[str, Any]:
    """The figures of one period of a summary of type `kind`."""
    # Whoever wears the monitor all the time has every figure.
    made = demo.figures(kind, random, replace(demo.habits(random), use=1.0), _DAYS)
    for field in FIELDS:
        if kind in field.types and random.random() < gaps:
            _leave_out(made, kind, field)
    return made


def _leave_out(made: dict[str, Any], kind: str, field: Field) -> None:
    """Make the count zero, and take away any other figure that is not required."""
    if field.name.endswith(("Records", "Minutes")) and field.name != "averageDailyRecords":
        made[field.name] = 0
    elif kind in field.flagged or (kind, field.name) in _OPTIONAL:
        del made[field.name]
    else:
        return
    del made[field.name + DELTA]
    if kind in field.flagged:
        made[field.flag] = False


def put_summaries(unit: UnitOfWork, person: Somebody, **stats: Any) -> None:
    """Store `cgmStats` and `bgmStats` in the records that all clinics have of somebody."""
    service.update_summaries(unit, person.id, given_summaries(stats))


def documents(database: Database, person: Somebody) -> dict[tuple[str, str], Any]:
    """Somebody's summaries as they are kept, by clinic and type."""
    link = SummaryDocument.patient_id == Patient.id
    found = select(SummaryDocument.clinic_id, SummaryDocument.type, SummaryDocument.document)
    with storing(database) as unit:
        rows = unit.execute(found.join(Patient, link).where(Patient.user_id == person.id))
        return {(row.clinic_id, row.type): orjson.loads(row.document) for row in rows}


def summary_rows(database: Database, person: Somebody) -> dict[tuple[str, str], Summary]:
    """What is known of somebody's summaries, by clinic and type."""
    found = select(Summary).join(Patient, Summary.patient_id == Patient.id).where(Patient.user_id == person.id)
    with storing(database) as unit:
        return {(row.clinic_id, row.type): row for row in unit.session.scalars(found)}


def statistics(database: Database, person: Somebody) -> dict[tuple[str, str], dict[str, Any]]:
    """Somebody's figures that mean something to lists, by clinic and scope; without the keys and what is absent."""
    link = STATISTICS.c.patient_id == Patient.id
    with storing(database) as unit:
        rows = unit.execute(select(STATISTICS).join(Patient, link).where(Patient.user_id == person.id))
        return {(row.clinic_id, row.scope): _figures_of(row._asdict()) for row in rows}


def _figures_of(row: dict[str, Any]) -> dict[str, Any]:
    keys = set(STATISTICS.primary_key.columns.keys())
    return {name: value for name, value in row.items() if value is not None and name not in keys}
