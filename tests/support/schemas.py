"""The schema of a database, as the database describes it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect

from clinic_service.db.engine import revision_engine
from clinic_service.db.schema import BOOKKEEPING


def shape(url: str) -> dict[str, Any]:
    """Everything the database says about its tables, in an order that does not depend on how they came to be."""
    engine = revision_engine(url)
    inspector = inspect(engine)
    found = {name: _table_shape(inspector, name) for name in inspector.get_table_names() if name not in BOOKKEEPING}
    engine.dispose()
    return found


def _table_shape(inspector: Any, name: str) -> dict[str, Any]:
    columns = {column["name"]: column | {"type": repr(column["type"])} for column in inspector.get_columns(name)}
    return {
        "columns": columns,
        "options": inspector.get_table_options(name),
        "primary key": inspector.get_pk_constraint(name),
        "foreign keys": _by_name(inspector.get_foreign_keys(name)),
        "unique": _by_name(inspector.get_unique_constraints(name)),
        "checks": _by_name(inspector.get_check_constraints(name)),
        "indexes": {name: _repr_of_options(index) for name, index in _by_name(inspector.get_indexes(name)).items()},
    }


def _by_name(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in items}


def _repr_of_options(index: dict[str, Any]) -> dict[str, Any]:
    return index | {"dialect_options": {key: str(value) for key, value in index.get("dialect_options", {}).items()}}
