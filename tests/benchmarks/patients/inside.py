"""What a request costs inside: the statements it sends, sent once more by the driver alone, and the program around them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
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
    """Processor seconds of the database, the driver's share included, and of the program around it."""

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
        """Processor seconds for sending the statements and taking all rows: altogether, and of this thread alone."""
        raw = self.database.read_engine.raw_connection()
        server = self._server_process(raw)
        everywhere, here = [], []
        try:
            for _ in range(times):
                begin, begin_there = time.thread_time(), _processor_seconds(server)
                for statement in sent:
                    _send(raw.cursor(), statement)
                here.append(time.thread_time() - begin)
                everywhere.append(here[-1] + _processor_seconds(server) - begin_there)
        finally:
            raw.close()
        return quick(everywhere), quick(here)

    def _server_process(self, raw: Any) -> int | None:
        """The process of PostgreSQL that serves the connection; None on SQLite, which works in the calling thread."""
        if self.database.url.get_backend_name() == SQLITE:
            return None
        pid: int = raw.driver_connection.info.backend_pid
        return pid


def _processor_seconds(pid: int | None) -> float:
    """The processor time of a process so far; 0 without a process."""
    return 0 if pid is None else int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def _send(cursor: Any, statement: Sent) -> None:
    cursor.execute(statement.text, statement.parameters) if statement.parameters else cursor.execute(statement.text)
    if cursor.description:
        cursor.fetchall()
    cursor.close()
