"""What a request costs inside: the statements it sends, sent once more by the driver alone, and the program around them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

from sqlalchemy import event
from werkzeug.test import Client

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from tests.benchmarks.load import UnexpectedAnswer
from tests.benchmarks.patients.asking import quick
from tests.benchmarks.patients.clinics import SQLITE
from tests.benchmarks.seed import SECRET


class Sent(NamedTuple):
    """A statement as it goes to the driver."""

    text: str
    parameters: Any


class Costs(NamedTuple):
    """Seconds of the database, the driver's share included, and of the processor for the program around it."""

    database: float
    program: float


class Inside:
    """The application in this process, on a database of the benchmark."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self._client = Client(create_app(Config(database_url=url, session_secret=SECRET), self.database))

    def costs(self, address: str, token: str, times: int) -> Costs:
        """What a page costs. Raises UnexpectedAnswer when it is refused."""
        with self._listening() as sent:
            self._get(address, token)
        of_database, cpu_of_statements = self._replayed(sent, times)
        cpu = []
        for _ in range(times):
            begin = time.thread_time()
            self._get(address, token)
            cpu.append(time.thread_time() - begin)
        return Costs(of_database, quick(cpu) - cpu_of_statements)

    def database_seconds(self, address: str, token: str, times: int) -> float:
        """What the database needs for a page."""
        with self._listening() as sent:
            self._get(address, token)
        return self._replayed(sent, times)[0]

    def _get(self, address: str, token: str) -> None:
        # The lines of the request log would stand between those of the report.
        with redirect_stderr(StringIO()):
            answer = self._client.get(address, headers={"X-Tidepool-Session-Token": token})
            body = answer.get_data()
        if answer.status_code != 200:
            raise UnexpectedAnswer(f"{answer.status_code} {body[:300]!r}")

    @contextmanager
    def _listening(self) -> Iterator[list[Sent]]:
        sent: list[Sent] = []

        def note(_connection: Any, _cursor: Any, text: str, parameters: Any, *_rest: Any) -> None:
            sent.append(Sent(text, parameters))

        event.listen(self.database.read_engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(self.database.read_engine, "before_cursor_execute", note)

    def _replayed(self, sent: list[Sent], times: int) -> tuple[float, float]:
        """Seconds for sending the statements and taking all rows: of the database, and of this thread's processor."""
        raw = self.database.read_engine.raw_connection()
        wall, cpu = [], []
        try:
            for _ in range(times):
                begin, begin_cpu = time.perf_counter(), time.thread_time()
                for statement in sent:
                    _send(raw.cursor(), statement)
                wall.append(time.perf_counter() - begin)
                cpu.append(time.thread_time() - begin_cpu)
        finally:
            raw.close()
        # SQLite works in this very thread, and its processor time is not disturbed by others.
        works_here = self.database.url.get_backend_name() == SQLITE
        return quick(cpu if works_here else wall), quick(cpu)


def _send(cursor: Any, statement: Sent) -> None:
    cursor.execute(statement.text, statement.parameters) if statement.parameters else cursor.execute(statement.text)
    if cursor.description:
        cursor.fetchall()
    cursor.close()
