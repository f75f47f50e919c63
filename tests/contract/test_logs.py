"""No log line and no metric of any operation holds a value of its request or answer, not even at the level of debugging.

Who is who is shown by ids, which are no values in this sense; neither are the words that the spec itself defines.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.log_lines import JsonFormatter
from clinic_service.metrics.counters import exposition
from clinic_service.specification.apis import Operation
from tests.conftest import SECRET
from tests.support.cases import Stage
from tests.support.client import Client, Reply
from tests.support.errors import spec_apis
from tests.support.failing import Defect
from tests.support.reads import request_of
from tests.support.rows import storing

# What drivers tell of a failure may hold the values of a row.
MESSAGE = "Key (email)=(carol@mail.example) already exists"
OPERATIONS = [operation for api in spec_apis() for operation in api.operations]
_ID = re.compile(r"[0-9a-f]{8,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Shorter ones are found by chance.
_SHORTEST = 5


class Recorder(Client):
    """Notes the values of what is sent and answered."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, SECRET)
        self.values: set[str] = set()

    def request(self, method: str, path: str, **options: Any) -> Reply:
        reply = super().request(method, path, **options)
        self.values |= set(_texts(options.get("json"))) | set(_texts(reply.json if reply.status < 300 else None))
        return reply


def _texts(value: Any) -> Iterator[str]:
    """The texts among the values in JSON."""
    return (text for text, is_key in _all_texts(value) if not is_key)


def _all_texts(value: Any) -> Iterator[tuple[str, bool]]:
    """Each text in JSON, and whether it is a key."""
    if isinstance(value, dict):
        yield from ((key, True) for key in value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _all_texts(item)
    elif isinstance(value, str):
        yield value, False


# The texts of the spec itself, such as the values of an enum and the names of members.
WORDS = {
    word
    for api in spec_apis()
    for part in (api.document["paths"], api.document["components"]["schemas"])
    for word, _ in _all_texts(part)
}


def _without_time(line: dict[str, Any]) -> str:
    """A log line without its own time, which may be the millisecond in which the answer's record was changed."""
    return orjson.dumps({name: value for name, value in line.items() if name != "time"}).decode()


def _fail(*_: object, **__: object) -> None:
    raise Defect(MESSAGE)


@pytest.fixture(scope="module")
def log() -> Iterator[io.StringIO]:
    """What a server would write to standard error at the level of debugging, while the fixtures below work."""
    root = logging.getLogger()
    level = root.level
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="module")
def logging_client(
    log: io.StringIO,  # noqa: ARG001 - the level is set first
    shared_config: Config,
) -> Iterator[tuple[Recorder, Database]]:
    """A client of an application whose database was opened at that level, since SQLAlchemy asks for it only then."""
    database = Database(shared_config.database_url)
    yield Recorder(create_app(shared_config, database, apis=spec_apis())), database
    database.dispose()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.operation_id)
def test_of_a_request_that_fails_and_of_the_same_that_is_allowed(
    log: io.StringIO,
    logging_client: tuple[Recorder, Database],
    database: Database,
    operation: Operation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client, opened = logging_client
    client.values = {MESSAGE}
    with ExitStack() as needs:
        with storing(database) as unit:
            send = request_of(operation)(Stage(client, opened, unit, needs))
        log.truncate(0)
        log.seek(0)
        with monkeypatch.context() as patch:
            patch.setattr("clinic_service.api.dispatch.run", _fail)
            assert send().status == 500
        assert send().status < 300
    lines = [*log.getvalue().splitlines(), *capsys.readouterr().err.splitlines()]
    parsed = [orjson.loads(line) for line in lines]
    assert "clinic_service.defects" in {line.get("logger") for line in parsed}
    assert {line["status"] for line in parsed if line.get("operation") == operation.operation_id} >= {500}
    values = {value for value in client.values - WORDS if len(value) >= _SHORTEST and not _ID.fullmatch(value)}
    shown = [*map(_without_time, parsed), exposition().decode()]
    assert [(value, text) for value in values for text in shown if value in text] == []
