"""What the tests of orders read from the database."""

from __future__ import annotations

from typing import Any

from clinic_service.models import EhrSubscription, OrderState
from tests.ehr.exchange import Exchange
from tests.ehr.orders import order
from tests.support.rows import stored

REPORT = ["Flowsheet/New", "Notes/New"]


def subscriptions(exchange: Exchange) -> list[tuple[str, bool]]:
    return [(row.patient_id, row.active) for row in stored(exchange.database, EhrSubscription)]


def states(exchange: Exchange) -> list[OrderState]:
    return [outcome.state for outcome in exchange.outcomes]


def next_order(code: str, seconds: int = 60, **parts: Any) -> dict[str, Any]:
    """An order that was made some seconds after the first one."""
    made = order(code, **parts)
    time = "2026-03-02T09:30:41.000Z" if seconds == 60 else f"2026-03-02T09:29:{41 + seconds}.000Z"
    made["Meta"]["EventDateTime"] = time
    made["Meta"]["Logs"] = [{"ID": f"log of {code} {seconds}"}]
    return made
