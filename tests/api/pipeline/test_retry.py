"""Work that the database gave up in favour of another transaction runs again; lost connections are replaced."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from clinic_service.context import Context
from clinic_service.models import Clinic, Clinician
from clinic_service.unit_of_work import UnitOfWork, reading, run
from tests.support.cast import ALICE, BOB
from tests.support.client import Reply
from tests.support.errors import assert_error
from tests.support.rows import make_clinic, make_clinician, storing
from tests.support.small_work import Small, store, stored, transactions

ALL_CLINICS = select(Clinic.id)


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

    def test_two_requests_in_each_others_way_both_succeed(self, small: Small, engine_name: str) -> None:
        """Locks taken in opposite order: PostgreSQL ends one of the two; SQLite lets them follow each other."""
        with storing(small.database) as unit:
            ids = [make_clinic(unit).id for _ in range(2)]
        both_hold_one, tried = threading.Barrier(2), set[str]()

        def work(ctx: Context) -> Any:
            mine = ids if ctx.caller.id == ALICE.id else ids[::-1]
            ctx.uow.clinics.lock(mine[0])
            if engine_name == "postgresql" and ctx.caller.id not in tried:
                tried.add(ctx.caller.id)
                both_hold_one.wait(timeout=60)
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
        with reading(small.database) as unit:
            rows = unit.rows(ALL_CLINICS, {})
        with small.database.read_engine.connect() as connection:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ended = connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) {others}")).scalars().all()
        assert all(ended)
        assert ended
        first = api.post("/write", as_=ALICE)
        if first.status != 200:
            assert_error(first, 503)
        assert api.post("/write", as_=ALICE).status == 200
        # Reading goes on as if nothing had happened.
        assert set(rows) < set(run(small.database, lambda unit: unit.rows(ALL_CLINICS, {}), writes=False))
