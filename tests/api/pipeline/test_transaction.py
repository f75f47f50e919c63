"""One request, one transaction: everything of it is stored, or nothing; and the answer is checked before that."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.exc import OperationalError

from clinic_service.config import Config
from clinic_service.context import Answer, Context
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.errors import Conflict, NotFound
from clinic_service.models import Clinic, Clinician, OutboxEntry
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.conftest import SECRET
from tests.support.cast import ALICE, BOB, MALLORY, SERVICE
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, storing
from tests.support.small import EMPTY_ANSWER, json_body, operation, small_app
from tests.support.statements import counting

CANARY = "canary-4711"
NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 20}}}
ID = {"name": "clinicId", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-f0-9]{24}$"}}
PATHS = {
    "/write": {
        "post": operation(
            "Write",
            responses={"200": {"description": "Done.", "content": {"application/json": {"schema": NAMED}}}},
        )
    },
    "/write-silently": {"post": operation("WriteSilently", responses=EMPTY_ANSWER)},
    "/clinics/{clinicId}": {
        "get": operation("Look", parameters=[ID], **{"x-access": ["member"]}),
        "put": operation("Change", parameters=[ID], requestBody=json_body(NAMED), **{"x-access": ["admin"]}),
    },
}


class Happened:
    """An event of these tests."""

    kind: ClassVar[str] = "happened"
    clinic_id = None

    def to_payload(self) -> dict[str, Any]:
        return {}


class Refused(Conflict):
    message = "The present state rules it out."


class Missing(NotFound):
    message = "It was not found."


Work = Callable[..., Any]


class Small:
    """The small application, whose operations do what a test says."""

    def __init__(self, database: Database, config: Config) -> None:
        self.database, self.config = database, config

    def client(self, work: Work, prepare: Work | None = None, **settings: Any) -> Client:
        def write(ctx: Context) -> Any:
            return work(ctx)

        def write_silently(ctx: Context) -> Any:
            return work(ctx)

        def look(ctx: Context, clinic_id: str) -> Any:  # noqa: ARG001
            return work(ctx)

        def change(ctx: Context, clinic_id: str, body: Any) -> Any:  # noqa: ARG001
            return work(ctx)

        def change_prepared(ctx: Context, clinic_id: str, body: Any, prepared: Any) -> Any:  # noqa: ARG001
            return work(ctx, prepared)

        def prepare_change(ctx: Context, clinic_id: str, body: Any) -> Any:  # noqa: ARG001
            assert prepare is not None
            return prepare(ctx)

        changes: list[Work] = [change]
        if prepare:
            change_prepared.__name__ = "change"
            changes = [change_prepared, prepare_change]
        config = replace(self.config, **settings)
        return Client(small_app(self.database, config, PATHS, write, write_silently, look, *changes), SECRET)


@pytest.fixture
def small(database: Database, config: Config) -> Small:
    return Small(database, config)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def store(uow: UnitOfWork) -> None:
    """A row by the session, a row by a statement, and an event."""
    make_clinic(uow, name=CANARY)
    now = uow.now
    values = {"id": new_id(), "name": CANARY, "preferred_bg_units": "mg/dL", "created_time": now, "updated_time": now}
    uow.execute(insert(Clinic), values)
    uow.outbox.add(Happened())


def stored(database: Database) -> tuple[int, int]:
    """How many of the rows and events are there."""
    clinics = select(func.count()).select_from(Clinic).where(Clinic.name == CANARY)
    entries = select(func.count()).select_from(OutboxEntry)
    with reading(database) as unit:
        return unit.execute(clinics).scalar_one(), unit.execute(entries).scalar_one()


class TestAllOrNothing:
    def test_success_stores_everything(self, small: Small) -> None:
        def work(ctx: Context) -> Any:
            store(ctx.uow)
            return {"name": "done"}

        reply = small.client(work).post("/write", as_=ALICE)
        assert (reply.status, reply.json) == (200, {"name": "done"})
        assert stored(small.database) == (2, 1)

    @pytest.mark.parametrize(
        ("error", "status"),
        [(RuntimeError(CANARY), 500), (Refused(), 409), (RecursionError(), 500), (TimeoutError(), 500)],
    )
    def test_what_raises_after_writing_leaves_nothing(self, small: Small, error: Exception, status: int) -> None:
        def work(ctx: Context) -> Any:
            store(ctx.uow)
            raise error

        assert_error(small.client(work).post("/write", as_=ALICE), status)
        assert stored(small.database) == (0, 0)

    def test_what_the_session_still_holds_back_is_written_before_the_answer_is_judged(self, small: Small) -> None:
        def work(ctx: Context) -> Any:
            store(ctx.uow)
            ctx.uow.session.add(Clinician(clinic_id="0" * 24, id=new_id(), created_time=ctx.uow.now))
            return {"name": "done"}

        assert_error(small.client(work).post("/write", as_=ALICE), 500)
        assert stored(small.database) == (0, 0)

    def test_the_next_request_sees_what_was_stored_and_is_not_disturbed_by_what_was_not(self, small: Small) -> None:
        outcomes = iter([None, RuntimeError(), None])

        def work(ctx: Context) -> Any:
            store(ctx.uow)
            outcome = next(outcomes)
            if outcome:
                raise outcome
            return {"name": "done"}

        api = small.client(work)
        assert [api.post("/write", as_=ALICE).status for _ in range(3)] == [200, 500, 200]
        assert stored(small.database) == (4, 2)

    def test_reads_cannot_write(self, small: Small, clinic_id: str) -> None:
        def work(ctx: Context) -> Any:
            store(ctx.uow)
            return {}

        assert_error(small.client(work).get(f"/clinics/{clinic_id}", as_=ALICE), 500)
        assert stored(small.database) == (0, 0)


BROKEN: dict[str, Any] = {
    "a member too long": {"name": CANARY * 3},
    "a member missing": {"neme": CANARY},
    "a member of another type": {"name": 1},
    "nothing": None,
    "a list": [CANARY],
    "a status that is not described": Answer(201, {"name": "done"}),
    "a failure as an answer": Answer(404, {"code": 404, "message": CANARY}),
    "no JSON": {"name": datetime(2026, 1, 1, tzinfo=UTC)},
    "half a character": {"name": "\ud800"},
}


class TestAnswerCheck:
    def client(self, small: Small, answer: Any, **settings: Any) -> Client:
        def work(ctx: Context) -> Any:
            store(ctx.uow)
            return answer

        return small.client(work, **settings)

    @pytest.mark.parametrize("case", BROKEN)
    def test_an_answer_that_breaks_the_spec_stores_nothing_and_is_not_sent(
        self, small: Small, case: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        reply = self.client(small, BROKEN[case]).post("/write", as_=ALICE)
        assert_error(reply, 500)
        assert CANARY not in str(reply) + caplog.text
        assert stored(small.database) == (0, 0)

    def test_the_log_says_where_it_breaks_the_spec(self, small: Small, caplog: pytest.LogCaptureFixture) -> None:
        self.client(small, {"name": CANARY * 3}).post("/write", as_=ALICE)
        assert "Write: the answer 200 breaks the spec at ['/name maxLength']" in caplog.text
        assert {record.levelno for record in caplog.records} == {logging.ERROR}

    def test_something_where_nothing_is_described(self, small: Small) -> None:
        assert_error(self.client(small, {}).post("/write-silently", as_=ALICE), 500)
        assert stored(small.database) == (0, 0)

    def test_nothing_where_nothing_is_described(self, small: Small) -> None:
        assert self.client(small, None).post("/write-silently", as_=ALICE).status == 204
        assert stored(small.database) == (2, 1)

    def test_when_only_reporting_it_is_stored_sent_and_logged(
        self, small: Small, caplog: pytest.LogCaptureFixture
    ) -> None:
        api = self.client(small, {"name": CANARY * 3}, answer_check="report")
        reply = api.post("/write", as_=ALICE)
        assert (reply.status, reply.json) == (200, {"name": CANARY * 3})
        assert stored(small.database) == (2, 1)
        assert "Write: the answer 200 breaks the spec at ['/name maxLength']" in caplog.text
        assert CANARY not in caplog.text


class TestRefusedCallers:
    def test_cause_no_statement_that_writes(self, small: Small, clinic_id: str) -> None:
        def work(_ctx: Context) -> Any:
            raise AssertionError("the handler must not be reached")

        api = small.client(work)
        good = {"name": "x"}
        with counting(small.database) as statements:
            assert_error(api.put(f"/clinics/{clinic_id}", json=good), 401)
            assert_error(api.put(f"/clinics/{clinic_id}", json=good, headers={"X-Tidepool-Session-Token": "x"}), 401)
        assert statements == []
        with counting(small.database) as statements:
            assert_error(api.put(f"/clinics/{clinic_id}", as_=MALLORY, json=good), 403)
            assert_error(api.put(f"/clinics/{clinic_id}", as_=SERVICE, json=good), 403)
            assert_error(api.put(f"/clinics/{clinic_id}", as_=ALICE, json={}), 400)
        asked = [statement.split()[0] for statement in statements]
        assert set(asked) <= {"BEGIN", "SELECT"}

    def test_nothing_is_prepared_for_them(self, small: Small, clinic_id: str) -> None:
        def never(*_anything: Any) -> Any:
            raise AssertionError("must not be reached")

        api = small.client(never, never)
        assert_error(api.put(f"/clinics/{clinic_id}", as_=BOB, json={"name": "x"}), 403)
        assert_error(api.put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": 1}), 400)


@contextmanager
def transactions(database: Database) -> Iterator[list[str]]:
    """What happens to transactions of the writing engine while the block runs."""
    seen: list[str] = []
    listeners = {name: (lambda _connection, name=name: seen.append(name)) for name in ("begin", "commit", "rollback")}
    for name, listener in listeners.items():
        event.listen(database.write_engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            event.remove(database.write_engine, name, listener)


class TestOneTransaction:
    def test_a_writing_request_is_one_and_a_reading_one_is_none(self, small: Small, clinic_id: str) -> None:
        def work(_ctx: Context) -> Any:
            return {}

        api = small.client(work)
        with transactions(small.database) as seen:
            assert api.put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"}).status == 200
        assert seen == ["begin", "commit"]
        with transactions(small.database) as seen:
            assert api.get(f"/clinics/{clinic_id}", as_=ALICE).status == 200
        assert seen == []
        with transactions(small.database) as seen:
            assert api.put(f"/clinics/{clinic_id}", as_=MALLORY, json={"name": "x"}).status == 403
        assert seen == ["begin", "rollback"]

    def test_access_is_decided_in_the_transaction_of_the_handler(self, small: Small, clinic_id: str) -> None:
        used = []

        def note(_connection: Any, cursor: Any, *_rest: Any) -> None:
            used.append(cursor.connection)

        def work(ctx: Context) -> Any:
            store(ctx.uow)
            return {}

        event.listen(small.database.write_engine, "before_cursor_execute", note)
        try:
            assert small.client(work).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"}).status == 200
        finally:
            event.remove(small.database.write_engine, "before_cursor_execute", note)
        assert len(used) >= 3
        assert len(set(map(id, used))) == 1


class TestPreparing:
    def test_runs_while_no_transaction_is_open_and_hands_over_what_it_found(self, small: Small, clinic_id: str) -> None:
        open_transactions = []

        def prepare(ctx: Context) -> Any:
            open_transactions.append(small.database.write_engine.pool.checkedout())  # type: ignore[attr-defined]
            return {"found": ctx.caller.id}

        def work(_ctx: Context, prepared: Any) -> Any:
            open_transactions.append(small.database.write_engine.pool.checkedout())  # type: ignore[attr-defined]
            return prepared

        reply = small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})
        assert (reply.status, reply.json) == (200, {"found": ALICE.id})
        assert open_transactions == [0, 1]

    def test_may_refuse_before_a_transaction_begins(self, small: Small, clinic_id: str) -> None:
        def prepare(_ctx: Context) -> Any:
            raise Missing

        def work(*_anything: Any) -> Any:
            raise AssertionError("must not be reached")

        with transactions(small.database) as seen:
            reply = small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})
        assert_error(reply, 404)
        assert seen == []

    def test_cannot_write(self, small: Small, clinic_id: str) -> None:
        def prepare(ctx: Context) -> Any:
            store(ctx.uow)

        def work(*_anything: Any) -> Any:
            return {}

        assert_error(small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"}), 500)
        assert stored(small.database) == (0, 0)

    def test_access_is_decided_again_afterwards(self, small: Small, clinic_id: str) -> None:
        def prepare(_ctx: Context) -> Any:
            with storing(small.database) as unit:
                unit.execute(Clinician.__table__.delete())  # type: ignore[attr-defined]

        def work(*_anything: Any) -> Any:
            raise AssertionError("must not be reached")

        assert_error(small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"}), 403)


def lose_to_another_transaction(uow: UnitOfWork) -> None:
    """Fail as a transaction does that the database gives up in favour of another."""
    if uow.connection.dialect.name == "postgresql":
        uow.execute(text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = 'serialization_failure'; END $$"))
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise OperationalError("UPDATE", {}, busy)


class TestRetry:
    def test_the_work_runs_again_as_if_for_the_first_time(self, small: Small, clinic_id: str) -> None:
        tries, prepared = [], []

        def prepare(_ctx: Context) -> Any:
            prepared.append(1)

        def work(ctx: Context, _prepared: Any) -> Any:
            assert stored(small.database) == (0, 0)
            tries.append(ctx.uow)
            store(ctx.uow)
            if len(tries) < 3:
                lose_to_another_transaction(ctx.uow)
            return {"tries": len(tries)}

        with transactions(small.database) as seen:
            reply = small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})
        assert (reply.status, reply.json) == (200, {"tries": 3})
        assert stored(small.database) == (2, 1)
        assert len({id(uow) for uow in tries}) == 3
        assert len(prepared) == 1
        assert seen == ["begin", "rollback", "begin", "rollback", "begin", "commit"]

    def test_it_is_given_up_after_some_tries(self, small: Small) -> None:
        tries = []

        def work(ctx: Context) -> Any:
            tries.append(1)
            store(ctx.uow)
            lose_to_another_transaction(ctx.uow)

        reply = small.client(work).post("/write", as_=ALICE)
        assert_error(reply, 503)
        assert reply.headers["Retry-After"] == "1"
        assert 2 <= len(tries) <= 10
        assert stored(small.database) == (0, 0)

    def test_other_failures_are_not_tried_again(self, small: Small) -> None:
        tries = []

        def work(ctx: Context) -> Any:
            tries.append(1)
            ctx.uow.execute(text("SELECT nothing FROM nowhere"))

        assert_error(small.client(work).post("/write", as_=ALICE), 500)
        assert len(tries) == 1

    def test_two_requests_in_each_others_way_both_succeed(self, small: Small) -> None:
        """Locks taken in opposite order: PostgreSQL ends one of the two; SQLite lets them follow each other."""
        with storing(small.database) as unit:
            ids = [make_clinic(unit).id for _ in range(2)]
        both_hold_one = threading.Barrier(2)

        def work(ctx: Context) -> Any:
            mine = ids if ctx.caller.id == ALICE.id else ids[::-1]
            ctx.uow.clinics.lock(mine[0])
            with suppress(threading.BrokenBarrierError):
                both_hold_one.wait(timeout=0.3)
            ctx.uow.clinics.lock(mine[1])
            make_clinician(ctx.uow, ctx.uow.clinics.get(ids[0]), ALICE if mine is ids else BOB)
            return {"name": "done"}

        api = small.client(work)
        replies: list[Reply] = []
        threads = [
            threading.Thread(target=lambda who=who: replies.append(api.post("/write", as_=who))) for who in (ALICE, BOB)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [reply.status for reply in replies] == [200, 200]
        with reading(small.database) as unit:
            assert unit.execute(select(func.count()).select_from(Clinician)).scalar_one() == 2


class TestLostConnections:
    def test_a_connection_that_is_gone_is_replaced(self, small: Small, engine_name: str) -> None:
        """As after a restart of the database: a request may be told to try again, and the next one succeeds."""
        if engine_name != "postgresql":
            pytest.skip("a file has no connections to lose")

        def work(ctx: Context) -> Any:
            store(ctx.uow)
            return {"name": "done"}

        api = small.client(work)
        assert api.post("/write", as_=ALICE).status == 200
        with small.database.read_engine.connect() as connection:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ended = connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) {others}")).scalars().all()
        assert all(ended)
        assert ended
        first = api.post("/write", as_=ALICE)
        if first.status != 200:
            assert_error(first, 503)
        assert api.post("/write", as_=ALICE).status == 200
