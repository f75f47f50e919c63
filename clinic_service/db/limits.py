"""Timeouts of database connections."""

from __future__ import annotations

from typing import NamedTuple

# The option of a database URL for a database behind a pooler. Its connections have an execution option of the same name.
POOLER = "pooler"


class Timeouts(NamedTuple):
    """Timeouts in seconds; None: no timeout.

    The database enforces `lock` and `statement`. This program enforces `answer`, for a database that does not respond
    at all. `answer` is longer than `statement`, so that a working database stops first.
    """

    lock: int | None
    statement: int | None
    answer: float | None


# With the time for another connection added, this is less than the time for a request.
REQUEST = Timeouts(lock=5, statement=15, answer=18)
# Revisions wait for each other, and take long on large tables.
REVISION = Timeouts(lock=None, statement=None, answer=None)
# For testing whether the database can be used.
PROBE = Timeouts(lock=1, statement=1, answer=2)
