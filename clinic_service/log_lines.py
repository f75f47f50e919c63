"""The log on standard error: one JSON object on each line, written by a thread of its own.

A reader of the log that stalls or has ended neither delays an answer nor makes one fail. Lines that could not be written
are counted.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any, TextIO

import orjson

from clinic_service import clock

_log = logging.getLogger(__name__)

_CAPACITY = 10_000
# Lines that come within this time are written together, so that a busy process does not switch threads for each line.
_GATHER_SECONDS = 0.02
_CLOSE_SECONDS = 1.0
# Loggers whose information is about their own library, and tells an operator nothing.
_QUIET = ("alembic.runtime.plugins",)
_PLAIN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogLines:
    """Writes lines to `stream` from a thread. None: to standard error, which may be closed (`2>&-`)."""

    def __init__(self, lost: Callable[[int], None], stream: TextIO | None = None) -> None:
        """`lost` is called with the number of lines that could not be written.

        Call `start` in the process that writes: a thread does not survive a fork.
        """
        self._stream = stream
        self._lost = lost
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue `line`, which ends with a line break, for writing. The line is lost when too many are waiting."""
        if self._queue.qsize() >= _CAPACITY:
            self._lost(1)
        else:
            self._queue.put(line)

    def close(self) -> None:
        """Write the lines that are waiting, for at most a second, and stop the thread."""
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


def log_as_json(level: str, handler: logging.Handler | None = None) -> None:
    """Let `handler` write all log messages of this process, one JSON object on each line; None: to standard error.

    This includes what would otherwise be written as plain text: warnings of Python, and exceptions that nobody catches.
    """
    if handler is None:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
    # The library would write a failure of a handler, and the arguments of the message, as plain text.
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.showwarning = _log_warning
    sys.excepthook = lambda _kind, error, _places: _log_uncaught(error)
    sys.unraisablehook = lambda args: _log_uncaught(args.exc_value)
    threading.excepthook = lambda args: _log_uncaught(args.exc_value)


def _log_warning(
    message: Warning | str,  # noqa: ARG001 - the signature of the standard library
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    # The text of a warning may hold values of a request.
    _log.warning("warning", extra={"error": category.__name__, "places": [f"{filename}:{lineno}"]})


def _log_uncaught(error: BaseException | None) -> None:
    if not isinstance(error, SystemExit):
        _log.critical("uncaught exception", exc_info=error)


class JsonFormatter(logging.Formatter):
    """Formats a log record as one line of JSON: time, level, logger, message, and the fields of `extra=`.

    Of an exception, the line has the class and the traceback, but not the message, which may hold values of a request.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line for `record`, without a line break. It never raises.

        When the message or a field cannot be written as JSON, the line has the class of the error in their place.
        """
        line: dict[str, Any] = {
            "time": clock.to_wire(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
        }
        try:
            return orjson.dumps(line | _content(record), default=str).decode()
        except Exception as error:
            failed = {"message": "a log message cannot be written as JSON", "error": type(error).__name__}
            return orjson.dumps(line | failed).decode()


def _content(record: logging.LogRecord) -> dict[str, Any]:
    content: dict[str, Any] = {"message": record.getMessage()}
    content |= {name: value for name, value in vars(record).items() if name not in _PLAIN_ATTRIBUTES}
    if record.exc_info and record.exc_info[0] is not None:
        content["error"] = record.exc_info[0].__name__
        frames = traceback.extract_tb(record.exc_info[2])
        content["places"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return content


class LinesHandler(logging.Handler):
    """A handler of `logging` that writes its records to `lines`."""

    def __init__(self, lines: LogLines) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Queue `record` for writing."""
        self._lines.write(self.format(record) + "\n")
