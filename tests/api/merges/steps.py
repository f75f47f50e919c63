"""What the tests of MergeClinic share."""

from __future__ import annotations

from typing import Any

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, OutboxEntry
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import SERVICE
from tests.support.client import Client, Reply
from tests.support.merges import Pair
from tests.support.rows import stored


def merge(api: Client, pair: Pair) -> Reply:
    """Merge the source into the target, which must succeed."""
    reply = api.post(pair.path, as_=SERVICE, json=pair.body)
    assert (reply.status, reply.json) == (200, None)
    return reply


def clinics_of(unit: UnitOfWork, pair: Pair) -> tuple[Clinic, Clinic]:
    """The source and the target."""
    return unit.clinics.get(pair.source), unit.clinics.get(pair.target)


def told(database: Database, *kinds: str) -> set[tuple[str, str | None, Any]]:
    """The kind, clinic and user of each event of these kinds."""
    return {
        (entry.kind, entry.clinic_id or None, entry.payload.get("userId"))
        for entry in stored(database, OutboxEntry)
        if entry.kind in kinds
    }
