"""Media types: which are JSON, and what is sent where a document says only `*/*`."""

from __future__ import annotations

import re

JSON = "application/json"
_JSON = re.compile(r"application/([\w.+-]+\+)?json", re.IGNORECASE)
# What stands for a range of types.
_CONCRETE = {"*/*": JSON, "application/*": JSON, "text/*": "text/plain"}


def concrete(declared: str) -> str:
    """The media type, without parameters, of an answer that is declared as `declared`; a range becomes a type of it."""
    media_type = declared.partition(";")[0].strip().lower()
    return _CONCRETE.get(media_type, media_type.replace("/*", "/octet-stream"))


def is_json(media_type: str) -> bool:
    """Whether bodies of `media_type` are JSON, as those of `application/problem+json` are."""
    return _JSON.fullmatch(media_type) is not None


def is_text(media_type: str) -> bool:
    """Whether bodies of `media_type` are text that a reader is shown."""
    return media_type.startswith("text/") or media_type.endswith(("/xml", "+xml", "/yaml", "/javascript"))


def covers(declared: str, media_type: str) -> bool:
    """Whether the media type or range `declared` admits `media_type`; both without regard to case and parameters."""
    words = declared.partition(";")[0].strip().lower()
    return words in (media_type, "*/*") or (words.endswith("/*") and media_type.startswith(words[:-1]))
