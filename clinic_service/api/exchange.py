"""Exchange: one request on its way through the server, and the raw answer that ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from clinic_service.audit.log import Line
from clinic_service.auth.caller import Caller
from clinic_service.tracing import Trace

# The server puts the moment here (of `time.perf_counter`) at which the whole request had arrived.
ARRIVED = "clinic_service.arrived"
_PHRASES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Exchange:
    """The facts about a request that the log and the metrics need, without its content."""

    __slots__ = ("caller", "environ", "headers", "line", "operation_id", "request_id", "route", "started", "trace")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.started: float = environ.get(ARRIVED) or time.perf_counter()
        # The operation, page or other part of the server that answers; a label of metrics.
        self.route: str | None = None
        self.operation_id: str | None = None
        self.caller: Caller | None = None
        # The answer gets these headers, also when it refuses the request.
        self.headers: Sequence[tuple[str, str]] = ()
        # The line of the audit log about the request.
        self.line: Line | None = None
        self.trace = Trace(environ)
        self.request_id = self.trace.request_id

    @property
    def seconds(self) -> float:
        """The seconds since the request arrived."""
        return time.perf_counter() - self.started


class RawAnswer:
    """A finished answer: status, headers and bytes, handed to the server as it is.

    `encoded` gives the body in a content encoding, for bodies that never change, so that each is compressed once.
    `line`, if there is one, must be written to its audit log before the answer is sent. When that fails, the answer must
    not be sent.
    """

    __slots__ = ("body", "encoded", "headers", "line", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        *,
        encoded: Callable[[str], bytes] | None = None,
    ) -> None:
        self.status, self.body, self.encoded = status, body, encoded
        self.headers = list(headers)
        self.line: Line | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer as a WSGI application does."""
        headers = self.headers
        if self.status not in (204, 304):
            headers.append(("Content-Length", str(len(self.body))))
        start_response(_PHRASES.get(self.status, str(self.status)), headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]


def json_answer(status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> RawAnswer:
    """An answer whose body is JSON."""
    return RawAnswer(status, body, [("Content-Type", "application/json"), *headers])
