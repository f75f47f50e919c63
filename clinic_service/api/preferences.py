"""The header `Prefer` (RFC 7240): `handling=strict` asks that unknown query parameters are refused instead of ignored."""

from __future__ import annotations

import re
from typing import Any

# The value of a preference ends where its parameters or the next preference begin.
_HANDLING = re.compile(r"(?:^|,)\s*handling\s*=\s*\"?([a-z]+)\"?\s*(?:[;,]|$)", re.IGNORECASE)


def is_strict(environ: dict[str, Any]) -> bool:
    """Whether the request prefers strict handling. Of two values of the same preference the first one counts."""
    header = environ.get("HTTP_PREFER")
    found = _HANDLING.search(header) if header else None
    return found is not None and found[1].lower() == "strict"


def preference_headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """The header that tells the client that its preference was honoured; none when it has no such preference."""
    return [("Preference-Applied", "handling=strict")] if is_strict(environ) else []
