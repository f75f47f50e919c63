"""A whole row as a JSON document, as the records of deletions keep it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect

from clinic_service.db.base import Base


def whole_row(entity: Base) -> dict[str, Any]:
    """Every column of `entity` by its name, those without a value included; relations are not followed."""
    return {attribute.key: getattr(entity, attribute.key) for attribute in inspect(type(entity)).column_attrs}
