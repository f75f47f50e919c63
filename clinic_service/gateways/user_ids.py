"""The form of user ids."""

from __future__ import annotations

import re
import uuid

# Older accounts have ten hex characters, newer ones a UUID.
_USER_ID = re.compile(r"[0-9a-f]{10}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_user_id(text: str) -> bool:
    """Whether `text` has the form of a user id."""
    return _USER_ID.fullmatch(text) is not None


def new_user_id() -> str:
    """A new id that cannot be guessed."""
    return str(uuid.uuid4())
