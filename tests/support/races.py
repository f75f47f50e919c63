"""Two server processes on one database, and requests that reach both at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from clinic_service.models import OutboxEntry
from tests.conftest import SECRET
from tests.support.cast import Somebody
from tests.support.databases import empty_database
from tests.support.processes import Answer, ServerProcess, serving
from tests.support.rows import make_account, storing
from tests.support.tokens import token_of


class Call(NamedTuple):
    """A request in somebody's name, or of a partner; without a body when there is no `json`."""

    as_: Somebody | None
    method: str
    path: str
    json: Any = ...
    headers: Mapping[str, str] | None = None

    def send(self, server: ServerProcess) -> Answer:
        """The answer of `server`."""
        token = token_of(self.as_) if self.as_ else None
        return server.request(self.method, self.path, token, self.json, self.headers)


class TwoServers(NamedTuple):
    """Two server processes, and the database that they share."""

    servers: tuple[ServerProcess, ServerProcess]
    database: Database

    def with_accounts(self, *people: Somebody) -> TwoServers:
        """These servers, in whose database the people have accounts now."""
        with storing(self.database) as unit:
            for person in people:
                make_account(unit, person)
        return self

    def race(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers, in the order of the calls, which are sent together and by turns to the two servers.

        None of them may be a failure of the server.
        """
        start = threading.Barrier(len(calls))

        def send(server: ServerProcess, call: Call) -> Answer:
            start.wait(timeout=30)
            return call.send(server)

        with ThreadPoolExecutor(len(calls)) as pool:
            running = [pool.submit(send, self.servers[number % 2], call) for number, call in enumerate(calls)]
            answers = [one.result(timeout=60) for one in running]
        return self._checked(answers)

    def by_turns(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers to calls that are sent one after the other, by turns to the two servers; none may fail."""
        return self._checked([call.send(self.servers[number % 2]) for number, call in enumerate(calls)])

    def _checked(self, answers: list[Answer]) -> list[Answer]:
        failures = [answer for answer in answers if answer.status >= 500]
        assert failures == [], "".join(server.errors.read_text()[-4000:] for server in self.servers)
        return answers


@contextmanager
def two_servers(folder: Path, url: str, **further: str) -> Iterator[TwoServers]:
    """Two servers on the empty database at `url`, which is brought to the newest revision; `further` are variables."""
    upgrade(url)
    settings = {"CLINIC_DATABASE_URL": url, "CLINIC_SESSION_SECRET": SECRET, **further}
    folders = folder / "first", folder / "second"
    for one in folders:
        one.mkdir()
    database = Database(url)
    with serving(folders[0], **settings) as first, serving(folders[1], **settings) as second:
        yield TwoServers((first, second), database)
    database.dispose()


@contextmanager
def serving_pair(engine_name: str, request: pytest.FixtureRequest, **further: str) -> Iterator[TwoServers]:
    """Two servers on a new database of the engine, for a fixture that `request` is the request of."""
    folder = request.getfixturevalue("tmp_path_factory").mktemp("races")
    with empty_database(engine_name, folder, request) as url, two_servers(folder, url, **further) as pair:
        yield pair


def winners(answers: Sequence[Answer], permitted: int, refusals: set[int]) -> list[int]:
    """The numbers of the requests that succeeded, as many as `permitted`; all others were refused by `refusals`."""
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == permitted, statuses
    assert {status for status in statuses if status != 200} <= refusals, statuses
    return [number for number, status in enumerate(statuses) if status == 200]


def rows(database: Database, model: type[Any], clinic_id: str) -> list[Any]:
    """What the clinic has of `model`."""
    with storing(database) as unit:
        return list(unit.session.scalars(select(model).where(model.clinic_id == clinic_id)))


def told(database: Database, clinic_id: str, kind: str) -> int:
    """How many events of that kind the outbox holds, or held, of the clinic."""
    return sum(entry.kind == kind for entry in rows(database, OutboxEntry, clinic_id))
