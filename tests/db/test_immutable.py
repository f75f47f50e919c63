"""What an UPDATE computes gives the same on every machine: Citus refuses expressions that depend on the session."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BindParameter, Connection, Null, Update, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.visitors import cloned_traverse

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.distribution import statements

_POSTGRESQL = make_url("postgresql+psycopg://").get_dialect()()


def computed() -> dict[str, str]:
    """The expressions that the constant statements compute, with the table of each. Parameters have a constant value."""
    found = {}
    for _, statement in statements():
        for value in (statement._values or {}).values() if isinstance(statement, Update) else ():
            if not isinstance(value, BindParameter | Null):
                sql = cloned_traverse(value, {}, {"bindparam": _give_value})
                compiled = sql.compile(dialect=_POSTGRESQL, compile_kwargs={"literal_binds": True})
                found[str(compiled)] = str(getattr(statement.table, "name", ""))
    return found


def _give_value(parameter: BindParameter[Any]) -> None:
    if parameter.value is None:
        parameter.value, parameter.required = clock.now(), False


def is_immutable(connection: Connection, table: str, expression: str) -> bool:
    """An index accepts only such expressions."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"CREATE INDEX ON {table} (({expression}))")
    except DBAPIError as error:
        if "must be marked IMMUTABLE" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_what_statements_compute_is_immutable(database: Database) -> None:
    expressions = computed()
    assert any("CASE" in sql for sql in expressions)
    with database.write_engine.connect() as connection:
        assert [sql for sql, table in expressions.items() if not is_immutable(connection, table, sql)] == []
        assert not is_immutable(connection, "patients", "updated_time + interval '1 millisecond'")
