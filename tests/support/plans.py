"""How the database carries out the statements of an operation: through which indexes, and past how many rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import event, text

from clinic_service.db.engine import Database

# What SQLite says of a step: `SEARCH patients USING COVERING INDEX ix (clinic_id=?)`, `SCAN clinics AS c`. A table that
# is looked at once more is called by its alias alone: `SEARCH patients_1 USING INDEX ix (clinic_id=?)`.
_STEP = re.compile(r"(SEARCH|SCAN) (\w+)(?: AS \w+)?(?: USING (?:(?:COVERING |PARTIAL )*INDEX (\w+)|.*PRIMARY KEY))?")
_ALIAS = re.compile(r"_\d+$")


class Step(NamedTuple):
    """One way in which rows of a table are found: by an index or, when that is None, one by one.

    `whole`: all of the index or the table is read. `rows` are those that were looked at; None on SQLite, which does not
    tell. `columns` are those of the index that are compared with something.
    """

    table: str
    by: str | None
    whole: bool
    rows: int | None
    columns: frozenset[str] = frozenset()


def rows_read(steps: Iterable[Step]) -> int | None:
    """How many rows the steps look at together. None on SQLite, which does not tell, so that nothing can be asserted."""
    rows = [step.rows for step in steps]
    return None if None in rows else sum(row for row in rows if row is not None)


def plans(database: Database, call: Callable[[], object]) -> list[list[Step]]:
    """The steps of each query that `call` sends."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        sent.append((statement, parameters))

    engines = (database.read_engine, database.write_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
    return [
        _explained(database, sql, values) for sql, values in sent if sql.lstrip("( ").startswith(("SELECT", "WITH"))
    ]


def analyze(database: Database) -> None:
    """Let PostgreSQL learn how its tables are filled, as a server does by itself after a while; SQLite never learns."""
    if database.url.get_backend_name() != "sqlite":
        with database.write_engine.begin() as connection:
            connection.execute(text("ANALYZE"))


def _explained(database: Database, sql: str, values: Any) -> list[Step]:
    # A connection for reading takes no locks, and the rows are found in the same way without.
    sql = sql.partition(" FOR UPDATE")[0]
    # The one for writing, since locks are taken as well.
    connection = database.write_engine.raw_connection()
    try:
        cursor = connection.cursor()
        if database.url.get_backend_name() == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)
            return list(_sqlite_steps(row[3] for row in cursor.fetchall()))
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
        row = cursor.fetchone()
        assert row is not None
        return list(_postgresql_steps(row[0][0]["Plan"]))
    finally:
        connection.rollback()
        connection.close()


def _sqlite_steps(details: Iterator[str]) -> Iterator[Step]:
    for detail in details:
        found = _STEP.match(detail)
        if found is not None:
            way, table, index = found.groups()
            yield Step(_ALIAS.sub("", table), index, way == "SCAN", None, _compared(detail))


def _postgresql_steps(node: dict[str, Any], table: str | None = None) -> Iterator[Step]:
    # The index of a bitmap stands below the table it is for.
    table = node.get("Relation Name", table)
    kind: str = node["Node Type"]
    if table is not None and kind in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"):
        passed = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        whole = "Index Cond" not in node
        rows = round(passed * node["Actual Loops"])
        yield Step(table, node.get("Index Name"), whole, rows, _compared(node.get("Index Cond", "")))
    for child in node.get("Plans", []):
        yield from _postgresql_steps(child, table)


def _compared(condition: str) -> frozenset[str]:
    """The columns in `(clinic_id=? AND id>?)`, or in `(((clinic_id)::text = 'a'::text) AND (id > 7))`."""
    return frozenset(re.findall(r"(\w+)\)?(?:::\w+)? ?[=<>]", condition))
