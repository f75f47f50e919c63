"""What is written on standard error: one JSON object a line, by a thread of its own.

A reader of the log that stalls or is gone delays no answer and fails none. Lines that it does not take are counted.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any, TextIO

import orjson

from clinic_service import clock

_CAPACITY = 10_000
# Lines that come within this time are written at once, so that a busy process does not switch threads for each.
_GATHER_SECONDS = 0.02
_CLOSE_SECONDS = 1.0
_PLAIN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogLines:
    """Writes lines to `stream`, by default the standard error stream, which may be closed (`2>&-`)."""

    def __init__(self, lost: Callable[[int], None], stream: TextIO | None = None) -> None:
        """`lost` is told how many lines were not taken. The thread starts with `start`, in the process that writes."""
        self._stream = stream
        self._lost = lost
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def write(self, line: str) -> None:
        """Have `line` written, its end included; drop it when too many are waiting."""
        if self._queue.qsize() >= _CAPACITY:
            self._lost(1)
        else:
            self._queue.put(line)

    def close(self) -> None:
        """Write what is waiting, for a second at most."""
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            lines = [self._queue.get()]
            if lines[0] is not None and self._queue.empty():
                time.sleep(_GATHER_SECONDS)
            while True:
                try:
                    lines.append(self._queue.get_nowait())
                except Empty:
                    break
            goes_on = None not in lines
            self._write([line for line in lines if line is not None])

    def _write(self, lines: list[str]) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write("".join(lines))
            stream.flush()
        except (OSError, ValueError, AttributeError):
            self._lost(len(lines))


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, message, and what `extra=` adds.

    Of an exception it keeps the kind and the places, not the text, which may hold values of a request.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": clock.to_wire(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN_ATTRIBUTES}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["places"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return orjson.dumps(line, default=str).decode()


class LinesHandler(logging.Handler):
    """Sends the records of `logging` to `lines`."""

    def __init__(self, lines: LogLines) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's signature
        """Nothing: a line that cannot be made must not fail what it tells of."""
