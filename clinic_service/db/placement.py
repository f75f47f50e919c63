"""Where the rows of a table are when the database is distributed over several machines by Citus.

Each model declares its placement. On SQLite and on one PostgreSQL server it has no effect.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The kinds of tables that Citus has."""

    # Rows are spread over the machines by the hash of one column.
    DISTRIBUTED = "distributed"
    # Every machine has all rows, so a write needs all machines.
    REFERENCE = "reference"
    # All rows are at the coordinator; the other machines ask it.
    LOCAL = "local"


class Placement(NamedTuple):
    """The placement of a table. Rows of distributed tables with equal values of `column` are on the same machine.

    That holds for all tables of the same `group`.
    """

    kind: Kind
    column: str | None = None
    group: str | None = None


# The clinics themselves, and what belongs to a clinic.
CLINICS = Placement(Kind.DISTRIBUTED, "id", "clinic")
BY_CLINIC = Placement(Kind.DISTRIBUTED, "clinic_id", "clinic")
# Rows that are looked up by user, across clinics.
BY_USER = Placement(Kind.DISTRIBUTED, "user_id", "user")
# Rows that are looked up by the caller of a request.
BY_CALLER = Placement(Kind.DISTRIBUTED, "caller", "caller")
REFERENCE = Placement(Kind.REFERENCE)
LOCAL = Placement(Kind.LOCAL)
