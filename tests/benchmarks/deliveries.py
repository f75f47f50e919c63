"""Waiting for work that a request leaves behind, so that its cost is counted with the request."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry

_MAX_SECONDS = 20
_WAITING = select(func.count()).where(OutboxEntry.delivered_time.is_(None))


class NotDelivered(Exception):
    """Events were not delivered in time."""


def wait_for_deliveries(database: Database) -> None:
    """Return once every event in the outbox is delivered. Raises NotDelivered."""
    end = time.monotonic() + _MAX_SECONDS
    while time.monotonic() < end:
        with database.read_engine.connect() as connection:
            if not connection.execute(_WAITING).scalar_one():
                return
        time.sleep(0.05)
    raise NotDelivered("the relay did not deliver the events of the new members")
