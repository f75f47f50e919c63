"""One request, one transaction: everything of it is stored, or nothing; and the answer is checked before that."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from clinic_service.context import Answer, Context
from clinic_service.db.ids import new_id
from clinic_service.errors import Conflict
from clinic_service.models import Clinician
from tests.support.cast import ALICE, BOB, MALLORY, SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.small_work import CANARY, Small, store, stored, transactions
from tests.support.statements import counting


class Refused(Conflict):
    message = "The present state rules it out."


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

    def test_entities_of_the_session_are_written_before_the_answer_is_checked(self, small: Small) -> None:
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


@pytest.mark.one_engine
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
