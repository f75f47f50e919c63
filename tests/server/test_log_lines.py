"""The lines of the log: every message is one JSON object, also one that does not fit into JSON."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from clinic_service.log_lines import JsonFormatter, LinesHandler, LogLines, log_as_json

SECRET = "a name \ud800"


def record(message: str = "delivery_failed", *arguments: Any, **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "args": arguments, "levelname": "WARNING", "name": "a.logger"})
    vars(made).update(extra)
    return made


def formatted(made: logging.LogRecord) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(JsonFormatter().format(made))
    return line


def test_fields_are_members_of_the_line() -> None:
    line = formatted(record("delivery_%s", "failed", kind="ClinicCreated", attempts=3))
    assert (line["message"], line["kind"], line["attempts"]) == ("delivery_failed", "ClinicCreated", 3)
    assert (line["level"], line["logger"]) == ("WARNING", "a.logger")


@pytest.mark.parametrize(
    "unfit",
    [
        record(SECRET),
        record("%d patients", SECRET),
        record("%s and %s", SECRET),
        record(name_of_patient=SECRET),
        record(number=2**70),
        record(names={1: SECRET}),
    ],
    ids=["lone surrogate", "wrong type", "too few arguments", "in a field", "large number", "key that is no text"],
)
def test_a_message_that_does_not_fit_into_json_becomes_a_line_without_its_values(unfit: logging.LogRecord) -> None:
    text = JsonFormatter().format(unfit)
    line = json.loads(text)
    assert line.keys() == {"time", "level", "logger", "message", "error"}
    assert (line["level"], line["logger"]) == ("WARNING", "a.logger")
    assert "a name" not in text


def test_a_handler_that_fails_writes_no_plain_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    closed = io.StringIO()
    closed.close()
    try:
        log_as_json("INFO", logging.StreamHandler(closed))
        logging.getLogger("a.logger").warning("of %s", "a name")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert capsys.readouterr().err == ""


def test_an_unfit_message_reaches_the_stream() -> None:
    stream = io.StringIO()
    lines = LogLines(lost=lambda number: pytest.fail(f"{number} lost"), stream=stream)
    lines.start()
    LinesHandler(lines).handle(record(SECRET))
    lines.close()
    assert json.loads(stream.getvalue())["error"]
