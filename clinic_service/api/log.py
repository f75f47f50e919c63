"""The request log: one JSON line for each request, with a fixed list of facts.

A line never holds an address, a query, a body, a name or an error's text, so no health data can get into it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO

import orjson

from clinic_service import clock
from clinic_service.api.exchange import Exchange


class RequestLog:
    """Hands each line to `write`; without it, to the standard error stream, which may be closed (`2>&-`)."""

    def __init__(self, stream: TextIO | None = None, *, write: Callable[[str], None] | None = None) -> None:
        self._stream = stream
        self._write = write or self._write_to_stream

    def write(self, exchange: Exchange, status: int, seconds: float) -> None:
        """Write a line about an answered request. Raises OSError or ValueError when the stream cannot be written."""
        caller = exchange.caller
        line: dict[str, Any] = {
            "time": clock.to_wire(clock.now()),
            "operation": exchange.operation_id,
            "method": exchange.environ["REQUEST_METHOD"] if exchange.operation_id else None,
            "status": status,
            "ms": round(seconds * 1000, 3),
            "request": exchange.request_id,
            "trace": exchange.trace.trace_id,
            "caller": caller.id if caller else None,
            "kind": caller.kind if caller else None,
        }
        self._write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE).decode())

    def _write_to_stream(self, line: str) -> None:
        stream = self._stream or sys.stderr
        if stream is None:
            raise ValueError("The standard error stream is closed.")
        stream.write(line)
        stream.flush()
