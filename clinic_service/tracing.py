"""The id and the trace (W3C Trace Context) of a request, which connect it with requests in other systems.

Both come from the headers of the request, are in its log line, and are passed on to the services that are called for it.
Nothing is recorded or sent to a collector here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from clinic_service.db.ids import new_id

REQUEST_ID_HEADER = "X-Tidepool-Trace-Request"
# The name that most other systems use. Answers have both headers, with the same value.
PLAIN_REQUEST_ID_HEADER = "X-Request-Id"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,64}")
# Later versions may have further parts, which are not read. Ids of zeros alone and the version ff are not valid.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")

_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


class Trace:
    """The id of a request, and the trace that it belongs to.

    `request_id`: from a header, or new when there is none or one that is not fit to be repeated. `trace_id`: that of the
    caller, or None until another service is called.
    """

    __slots__ = ("_flags", "_state", "request_id", "trace_id")

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.request_id = (
            _fit(environ.get("HTTP_X_TIDEPOOL_TRACE_REQUEST")) or _fit(environ.get("HTTP_X_REQUEST_ID")) or new_id()
        )
        self.trace_id: str | None = None
        self._flags = "00"
        self._state: str | None = None
        parent = environ.get("HTTP_TRACEPARENT")
        if parent is not None:
            self._continue(parent, environ.get("HTTP_TRACESTATE", ""))

    def _continue(self, parent: str, state: str) -> None:
        found = _TRACEPARENT.fullmatch(parent)
        if found is None or (found["version"] == "00" and found["rest"]):
            return
        self.trace_id = found["trace"]
        # Of the flags only the one for sampling is defined.
        self._flags = f"{int(found['flags'], 16) & 1:02x}"
        self._state = state if _TRACESTATE.fullmatch(state) else None

    def headers(self) -> dict[str, str]:
        """The headers of a call of another service that is made for the request."""
        if self.trace_id is None:
            self.trace_id = secrets.token_hex(16)
        headers = {
            PLAIN_REQUEST_ID_HEADER.lower(): self.request_id,
            REQUEST_ID_HEADER.lower(): self.request_id,
            # This call, as the parent of what the other service does.
            "traceparent": f"00-{self.trace_id}-{secrets.token_hex(8)}-{self._flags}",
        }
        return headers if self._state is None else headers | {"tracestate": self._state}


class Traced:
    """Passes `trace` on to the services that are called in the block."""

    __slots__ = ("_token", "_trace")

    # A class, because a generator would cost every request twice as much.
    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        self._token = _current.set(self._trace)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def trace_headers() -> dict[str, str]:
    """The headers for a call of another service; none when it is not made for a request."""
    trace = _current.get()
    return trace.headers() if trace is not None else {}


def _fit(request_id: str | None) -> str | None:
    return request_id if request_id and _REQUEST_ID.fullmatch(request_id) else None
