"""How long a connection waits, and whether a pooler stands before the database."""

from __future__ import annotations

from typing import NamedTuple

# The option of a database URL that says so; the connections carry it as an execution option.
POOLER = "pooler"


class Limits(NamedTuple):
    """Times in seconds; None: as long as it takes.

    `lock` and `statement` are kept by the database. `answer` is kept here, for a database that has fallen silent: it is
    longer than `statement`, so that the database, where it is alive, is the first to give up.
    """

    lock: int | None
    statement: int | None
    answer: float | None


# Together with the time to connect again, less than a request may take.
REQUEST = Limits(lock=5, statement=15, answer=18)
# Revisions wait for each other and for what they do to large tables.
REVISION = Limits(lock=None, statement=None, answer=None)
# For the question whether the database can be used just now.
PROBE = Limits(lock=1, statement=1, answer=2)
