"""The preferences of a client: the headers `Prefer` and `Accept`.

`Prefer: handling=strict` (RFC 7240) asks that unknown query parameters are refused instead of ignored. `Accept` chooses
among the media types of an answer that has several.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

# The value of a preference ends where its parameters or the next preference begin.
_HANDLING = re.compile(r"(?:^|,)\s*handling\s*=\s*\"?([a-z]+)\"?\s*(?:[;,]|$)", re.IGNORECASE)


def is_strict(environ: dict[str, Any]) -> bool:
    """Whether the request prefers strict handling. Of two values of the same preference the first one counts."""
    header = environ.get("HTTP_PREFER")
    found = _HANDLING.search(header) if header else None
    return found is not None and found[1].lower() == "strict"


def preference_headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """The header that tells the client that its preference was applied; none when it has no such preference."""
    return [("Preference-Applied", "handling=strict")] if is_strict(environ) else []


def wanted_media_type(environ: dict[str, Any], declared: Sequence[str]) -> str:
    """The declared media type that the client prefers; the first one when it accepts none, or prefers none."""
    accepted = parse_accept_header(environ.get("HTTP_ACCEPT", ""), MIMEAccept)
    return str(accepted.best_match(declared, declared[0]))
