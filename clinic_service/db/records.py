"""A whole row as a JSON document, for the records of deletions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect

from clinic_service.db.base import DERIVED, Base


def whole_row(entity: Base) -> dict[str, Any]:
    """All columns of `entity` by name, including those without a value.

    Relationships are left out, and columns marked as `DERIVED`, because they are computed from other columns.
    """
    columns = inspect(type(entity)).columns.items()
    return {name: getattr(entity, name) for name, column in columns if not DERIVED.items() <= column.info.items()}
