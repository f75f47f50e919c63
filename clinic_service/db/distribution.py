"""Distributes the tables over the machines of a Citus cluster, as `placement.py` declares them.

What is where is read from the catalogue of Citus each time, so that an interrupted command can be repeated, and new tables
join those that are distributed already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, MetaData, Table, inspect, text
from sqlalchemy.exc import DBAPIError

from clinic_service.db.dialects import revision_lock
from clinic_service.db.engine import revision_engine
from clinic_service.db.failures import DatabaseUnusable, explained
from clinic_service.db.placement import LOCAL, Kind, Placement
from clinic_service.db.schema import BOOKKEEPING

DEFAULT_SHARDS = 8

_HAS_CITUS = text("SELECT to_regclass('pg_dist_partition') IS NOT NULL")
_CATALOGUE = text(
    "SELECT c.relname, p.partmethod, p.repmodel,"
    " CASE WHEN p.partmethod = 'h' THEN column_to_column_name(p.logicalrelid, p.partkey) END"
    " FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid"
    " WHERE c.relnamespace = current_schema()::regnamespace"
)
_SHARDS = text("SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = to_regclass('clinics')")
# The rows that a table had before it was distributed stay at the coordinator, hidden, until they are removed.
_HAS_OLD_ROWS = text("SELECT pg_relation_size(to_regclass(:name)) > 0")


class CitusMissing(DatabaseUnusable):
    """The database has no Citus."""

    def __init__(self) -> None:
        super().__init__(
            "The database does not have the extension citus, so there are no machines to distribute its tables over. "
            "Install Citus on all of them, and run CREATE EXTENSION citus in the database."
        )


class Step(NamedTuple):
    """One call of a function of Citus. `table`: what it places; `what`: what it does, in words."""

    table: str
    what: str
    sql: str


class TablePlace(NamedTuple):
    """Where a table is, as the catalogue of Citus says."""

    kind: Kind
    column: str | None = None

    def __str__(self) -> str:
        return f"distributed by {self.column}" if self.column else f"a {self.kind.value} table"


def placements(metadata: MetaData) -> dict[str, Placement]:
    """The placement of each table, those first that others refer to. The tables of the revisions are local ones."""
    declared = {table.name: placement_of(table) for table in metadata.sorted_tables}
    # The first table of a group is the one by which the others are placed.
    firsts = {name: placement for name, placement in declared.items() if placement.column == "id"}
    return {**firsts, **declared, **dict.fromkeys(sorted(BOOKKEEPING), LOCAL)}


def placement_of(table: Table) -> Placement:
    """The placement of the table, which its model declares."""
    placement: Placement = table.info["placement"]
    return placement


def plan(wanted: Mapping[str, Placement], present: Mapping[str, TablePlace], shards: int) -> list[Step]:
    """The steps that place the tables of `wanted` that are not `present` where they should be, in their order.

    A local table can be placed: Citus makes local tables of those that refer to a reference table. Raises
    DatabaseUnusable when a table is placed otherwise.
    """
    misplaced = [line for line in differences(wanted, present) if line.place and line.place.kind is not Kind.LOCAL]
    if misplaced:
        raise DatabaseUnusable(
            f"{misplaced[0]} Take it back with SELECT undistribute_table('{misplaced[0].name}') at the coordinator first."
        )
    leaders: dict[str | None, str] = {}
    steps = []
    for name, placement in wanted.items():
        leader = leaders.setdefault(placement.group, name)
        if present.get(name) != _wanted_place(placement):
            steps.append(_step(name, placement, leader, shards))
    return steps


def _step(name: str, placement: Placement, leader: str, shards: int) -> Step:
    if placement.kind is Kind.REFERENCE:
        return Step(name, "on every machine", f"SELECT create_reference_table('{name}')")
    if placement.kind is Kind.LOCAL:
        call = f"citus_add_local_table_to_metadata('{name}', cascade_via_foreign_keys => true)"
        return Step(name, "at the coordinator", f"SELECT {call}")
    of_group = f"'none', shard_count => {shards}" if name == leader else f"'{leader}'"
    call = f"create_distributed_table('{name}', '{placement.column}', colocate_with => {of_group})"
    return Step(name, f"by {placement.column}", f"SELECT {call}")


class Misplaced(NamedTuple):
    """A table that is not where it should be."""

    name: str
    place: TablePlace | None
    wanted: TablePlace

    def __str__(self) -> str:
        return f"The table {self.name} is {self.place or 'not part of the cluster'}; it should be {self.wanted}."


def _wanted_place(placement: Placement) -> TablePlace:
    return TablePlace(placement.kind, placement.column)


def differences(wanted: Mapping[str, Placement], present: Mapping[str, TablePlace]) -> Iterator[Misplaced]:
    """The tables that are not where they should be."""
    for name, placement in wanted.items():
        place = _wanted_place(placement)
        if present.get(name) != place:
            yield Misplaced(name, present.get(name), place)


def has_citus(connection: Connection) -> bool:
    """Whether the database has the extension."""
    return connection.dialect.name == "postgresql" and bool(connection.execute(_HAS_CITUS).scalar())


def present(connection: Connection) -> dict[str, TablePlace]:
    """Where the tables are that the catalogue of Citus has; empty without Citus."""
    if not has_citus(connection):
        return {}
    return {name: _place(*place) for name, *place in connection.execute(_CATALOGUE)}


def _place(method: str, replication: str, column: str | None) -> TablePlace:
    if method == "h":
        return TablePlace(Kind.DISTRIBUTED, column)
    return TablePlace(Kind.REFERENCE if replication == "t" else Kind.LOCAL)


def is_distributed(connection: Connection, metadata: MetaData) -> bool:
    """Whether at least one table of `metadata` is distributed."""
    return bool(present(connection).keys() & metadata.tables.keys())


def place_new_tables(connection: Connection, metadata: MetaData, old: Collection[str]) -> None:
    """Place the tables that a revision has just created, when others are distributed already. `old`: those before it.

    It runs in the transaction of the revision, because the next revision may fill them.
    """
    if is_distributed(connection, metadata):
        for step in _steps(connection, metadata, _shards(connection)):
            if step.table not in old and not _is_placed(connection, step, metadata):
                _take(connection, step)


def _shards(connection: Connection) -> int:
    """The number of parts of the clinics, which new tables get as well."""
    return connection.execute(_SHARDS).scalar() or DEFAULT_SHARDS


def list_misplaced(url: str, metadata: MetaData) -> list[Misplaced]:
    """The tables that are not where they should be; none while nothing is distributed."""
    with _connected(url) as connection:
        if not is_distributed(connection, metadata):
            return []
        return list(differences(_existing(connection, metadata), present(connection)))


def dry_run(url: str, metadata: MetaData, shards: int) -> list[Step]:
    """The steps that `distribute` would take. Without Citus they are those for a new cluster."""
    with _connected(url) as connection:
        return _steps(connection, metadata, shards)


def distribute(url: str, metadata: MetaData, shards: int) -> Iterator[Step]:
    """Take the steps, each in a transaction of its own, and yield each one before it is taken.

    Raises CitusMissing, and DatabaseUnusable when a table is placed otherwise or a machine refuses.
    """
    with _connected(url) as connection:
        if not has_citus(connection):
            raise CitusMissing
        connection.rollback()
        with revision_lock(connection):
            for step in _steps(connection, metadata, shards):
                if not _is_placed(connection, step, metadata):
                    yield step
                    _take(connection, step)
                connection.commit()
            for name, placement in _existing(connection, metadata).items():
                if placement.kind is not Kind.LOCAL and connection.execute(_HAS_OLD_ROWS, {"name": name}).scalar():
                    step = _removal(name)
                    yield step
                    _take(connection, step)
                connection.commit()


def _removal(name: str) -> Step:
    sql = f"SELECT truncate_local_data_after_distributing_table('{name}')"
    return Step(name, "remove the rows that are left at the coordinator", sql)


def _existing(connection: Connection, metadata: MetaData) -> dict[str, Placement]:
    names = set(inspect(connection).get_table_names())
    return {name: placement for name, placement in placements(metadata).items() if name in names}


def _steps(connection: Connection, metadata: MetaData, shards: int) -> list[Step]:
    return plan(_existing(connection, metadata), present(connection), shards)


def _is_placed(connection: Connection, step: Step, metadata: MetaData) -> bool:
    """Whether a step before has placed the table of this one as well, because a foreign key connects them."""
    return present(connection).get(step.table) == _wanted_place(placements(metadata)[step.table])


def _take(connection: Connection, step: Step) -> None:
    try:
        connection.execute(text(step.sql))
    except DBAPIError as error:
        line = str(error.orig).strip().splitlines()[0]
        # What is to be done is often said in the hint alone.
        hint = getattr(getattr(error.orig, "diag", None), "message_hint", None)
        raise DatabaseUnusable(
            f"Citus refuses to place the table {step.table}: {line}{f' {hint}' if hint else ''}"
        ) from error


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = revision_engine(url)
    try:
        with explained(engine.url), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
