"""What a text must be like to be stored and shown."""

from __future__ import annotations

import re

MAX_EMAIL_LENGTH = 254

_EMAIL = re.compile(r"[^@\s]+@[^@\s\"',<>]+")
# No database stores the one, and no encoding knows the others.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_email(text: str) -> bool:
    """One `@`, something on both sides, no blanks, and no quotes, commas or angle brackets in the domain."""
    return _EMAIL.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Whether `text` has neither a NUL nor half a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """`text` without what cannot be stored."""
    return _UNSTORABLE.sub("", text)
