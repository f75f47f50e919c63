"""Media types: which are JSON, and which one replaces a range such as `*/*`."""

from __future__ import annotations

import re

JSON = "application/json"
_JSON = re.compile(r"application/([\w.+-]+\+)?json", re.IGNORECASE)
# The media types that replace ranges.
_CONCRETE = {"*/*": JSON, "application/*": JSON, "text/*": "text/plain"}


def concrete(declared: str) -> str:
    """The media type, without parameters, of an answer declared as `declared`. A range becomes one of its types."""
    media_type = declared.partition(";")[0].strip().lower()
    return _CONCRETE.get(media_type, media_type.replace("/*", "/octet-stream"))


def is_json(media_type: str) -> bool:
    """Whether bodies of `media_type` are JSON. This includes types like `application/problem+json`."""
    return _JSON.fullmatch(media_type) is not None


def is_text(media_type: str) -> bool:
    """Whether bodies of `media_type` are text, such as XML, YAML or scripts."""
    return media_type.startswith("text/") or media_type.endswith(("/xml", "+xml", "/yaml", "/javascript"))


def covers(declared: str, media_type: str) -> bool:
    """Whether the media type or range `declared` includes `media_type`. Letter case and parameters are ignored."""
    words = declared.partition(";")[0].strip().lower()
    return words in (media_type, "*/*") or (words.endswith("/*") and media_type.startswith(words[:-1]))
