"""The schema of a database, as the database describes it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect

from clinic_service.db.engine import revision_engine
from clinic_service.db.schema import BOOKKEEPING


def shape(url: str) -> dict[str, Any]:
    """Everything the database says about its tables, in an order that does not depend on how they came to be."""
    engine = revision_engine(url)
    inspector: Any = inspect(engine)
    # Each of these asks for all tables at once.
    of_tables = {
        "columns": _columns(inspector.get_multi_columns()),
        "options": inspector.get_multi_table_options(),
        "primary key": inspector.get_multi_pk_constraint(),
        "foreign keys": _by_name(inspector.get_multi_foreign_keys()),
        "unique": _by_name(inspector.get_multi_unique_constraints()),
        "checks": _by_name(inspector.get_multi_check_constraints()),
        "indexes": _indexes(inspector.get_multi_indexes()),
    }
    names = [name for name in inspector.get_table_names() if name not in BOOKKEEPING]
    engine.dispose()
    return {name: {what: found[None, name] for what, found in of_tables.items()} for name in names}


# What SQLAlchemy tells of tables: lists of descriptions, by schema and name of the table.
_Described = dict[tuple[str | None, str], list[dict[str, Any]]]
_Named = dict[tuple[str | None, str], dict[str, dict[str, Any]]]


def _by_name(described: _Described) -> _Named:
    return {table: {one["name"]: one for one in items} for table, items in described.items()}


def _columns(described: _Described) -> _Named:
    return _by_name({t: [one | {"type": repr(one["type"])} for one in items] for t, items in described.items()})


def _indexes(described: _Described) -> _Named:
    return _by_name({table: [_repr_of_options(one) for one in items] for table, items in described.items()})


def _repr_of_options(index: dict[str, Any]) -> dict[str, Any]:
    return index | {"dialect_options": {key: str(value) for key, value in index.get("dialect_options", {}).items()}}
