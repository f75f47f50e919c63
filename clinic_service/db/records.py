"""A whole row as a JSON document, as the records of deletions keep it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect

from clinic_service.db.base import DERIVED, Base


def whole_row(entity: Base) -> dict[str, Any]:
    """Every column of `entity` by its name, those without a value included; relations are not followed.

    Left out are columns marked as `DERIVED`, because they follow from the others.
    """
    columns = inspect(type(entity)).columns.items()
    return {name: getattr(entity, name) for name, column in columns if not DERIVED.items() <= column.info.items()}
