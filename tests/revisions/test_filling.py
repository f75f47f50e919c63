"""Revisions that fill tables: what was stored before is found by the tables that they make."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, Table, insert, select

from clinic_service.db import schema
from clinic_service.db.engine import revision_engine

_TIME = "2026-01-01T00:00:00.000Z"
_TIMES = {"created_time": _TIME, "updated_time": _TIME, "next_attempt_time": _TIME}
_OTHERS = {"is_member": True, "attempts": 0, "kind": "k", "payload": "{}"}


def tables(connection: Connection) -> dict[str, Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return dict(metadata.tables)


def add(connection: Connection, table: Table, **values: Any) -> None:
    """A row with these values, and with False or the like in the other columns that need one."""
    needed = {column.name for column in table.columns if not column.nullable and column.server_default is None}
    row = dict.fromkeys(needed, False) | {n: v for n, v in (_TIMES | _OTHERS).items() if n in needed} | values
    connection.execute(insert(table), row)


def test_the_clinics_of_users_are_filled_from_patients_and_clinicians(database_url: str) -> None:
    schema.upgrade(database_url, "0017")
    engine = revision_engine(database_url)
    with engine.begin() as connection:
        old = tables(connection)
        for clinic_id in ("a", "b"):
            add(connection, old["clinics"], id=clinic_id)
            add(connection, old["patients"], clinic_id=clinic_id, id="p", user_id="u")
        add(connection, old["clinicians"], clinic_id="a", id="m", user_id="v")
        add(connection, old["clinicians"], clinic_id="b", id="n", invite_id="key")
        add(connection, old["outbox"], id="e", clinic_id=None)
        add(connection, old["outbox"], id="f", clinic_id="a")
    schema.upgrade(database_url)
    with engine.connect() as connection:
        new = tables(connection)
        names = {
            "patient_records": "user_id",
            "memberships": "user_id",
            "pending_clinicians": "invite_id",
            "outbox": "id",
        }
        found = {
            name: sorted(tuple(row) for row in connection.execute(select(new[name].c[key], new[name].c.clinic_id)))
            for name, key in names.items()
        }
    assert found == {
        "patient_records": [("u", "a"), ("u", "b")],
        "memberships": [("v", "a")],
        "pending_clinicians": [("key", "b")],
        "outbox": [("e", ""), ("f", "a")],
    }
    engine.dispose()
    schema.downgrade(database_url, "0017")
    with engine.connect() as connection:
        rows = connection.execute(select(old["outbox"].c.id, old["outbox"].c.clinic_id)).all()
    assert sorted(map(tuple, rows)) == [("e", None), ("f", "a")]
    engine.dispose()
