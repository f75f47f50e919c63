"""Cross-origin requests: which web pages may call the API from a browser. None may unless `CLINIC_ALLOWED_ORIGINS` is set.

The API uses no cookies, so no answer has the header `Access-Control-Allow-Credentials`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clinic_service.api.exchange import RawAnswer
from clinic_service.tracing import PLAIN_REQUEST_ID_HEADER, REQUEST_ID_HEADER

# Browsers ask again after this many seconds.
_PREFLIGHT_SECONDS = "600"
# The headers that a page may send and read, besides those that every page may.
_IDS = f"{REQUEST_ID_HEADER}, {PLAIN_REQUEST_ID_HEADER}"
_SENT = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, traceparent, tracestate, "
    f"X-Tidepool-Session-Token, {_IDS}"
)
_READ = f"ETag, Idempotent-Replayed, Link, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, {_IDS}"


class CrossOrigin:
    """The origins whose pages may call the API; `*` stands for all."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def mark(self, answer: RawAnswer, environ: Mapping[str, Any]) -> None:
        """Tell the browser whether the page that sent the request may read `answer`."""
        if not self._origins:
            return
        answer.headers.append(("Vary", "Origin"))
        origin = environ.get("HTTP_ORIGIN")
        if origin and self._allows(origin):
            answer.headers.append(("Access-Control-Allow-Origin", origin))
            answer.headers.append(("Access-Control-Expose-Headers", _READ))

    def preflight(self, environ: Mapping[str, Any], methods: Iterable[str]) -> RawAnswer | None:
        """The answer to a preflight request; None for another request, and for a page that may not call the API.

        `methods`: the methods that the address accepts.
        """
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        origin = environ.get("HTTP_ORIGIN")
        if environ["REQUEST_METHOD"] != "OPTIONS" or not (asked and origin and self._allows(origin)):
            return None
        headers = [
            ("Access-Control-Allow-Methods", ", ".join(sorted(methods))),
            ("Access-Control-Allow-Headers", _SENT),
            ("Access-Control-Max-Age", _PREFLIGHT_SECONDS),
        ]
        return RawAnswer(204, headers=headers)

    def _allows(self, origin: str) -> bool:
        return origin in self._origins or "*" in self._origins
