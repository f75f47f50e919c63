"""Waiting for the work that a request leaves behind, so that its cost is counted with the request."""

from __future__ import annotations

import time

from clinic_service.db.engine import Database
from clinic_service.unit_of_work import run

_MAX_SECONDS = 20


class NotSealed(Exception):
    """Rows of the audit trail were not sealed in time."""


def wait_for_sealing(database: Database) -> None:
    """Return once every row of the audit trail is sealed. Raises NotSealed."""
    end = time.monotonic() + _MAX_SECONDS
    while time.monotonic() < end:
        if not run(database, lambda uow: uow.audit.count_unsealed(), writes=False):
            return
        time.sleep(0.05)
    raise NotSealed("the server did not seal the rows of the audit trail")
