"""Reads members of a Redox message. A member of another type than Redox describes counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def member(document: Any, *path: str | int) -> Any:
    """The value at `path`, which has names of members and positions in lists; None when it is absent."""
    for step in path:
        if isinstance(step, str) and isinstance(document, Mapping):
            document = document.get(step)
        elif isinstance(step, int) and isinstance(document, list) and step < len(document):
            document = document[step]
        else:
            return None
    return document


def text(document: Any, *path: str | int) -> str | None:
    """As `member`, for a text; None also for an empty text."""
    found = member(document, *path)
    return found if isinstance(found, str) and found else None


def items(document: Any, *path: str | int) -> list[Any]:
    """As `member`, for a list; empty when it is absent."""
    found = member(document, *path)
    return found if isinstance(found, list) else []
