"""What an operation asks of others before its transaction begins."""

from __future__ import annotations

from itertools import count
from typing import Any

from clinic_service.context import Context
from clinic_service.errors import NotFound
from clinic_service.models import Clinician
from clinic_service.preparation import PreparationOutdated
from tests.support.cast import ALICE
from tests.support.databases import open_transactions
from tests.support.errors import assert_error
from tests.support.rows import storing
from tests.support.small_work import Small, store, stored, transactions


class Missing(NotFound):
    message = "It was not found."


class TestPreparing:
    def test_runs_while_no_transaction_is_open_and_hands_over_what_it_found(self, small: Small, clinic_id: str) -> None:
        seen = []

        def prepare(ctx: Context) -> Any:
            seen.append(open_transactions(small.database))
            return {"found": ctx.caller.id}

        def work(_ctx: Context, prepared: Any) -> Any:
            seen.append(open_transactions(small.database))
            return prepared

        reply = small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})
        assert (reply.status, reply.json) == (200, {"found": ALICE.id})
        assert seen == [0, 1]

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

    def test_is_done_again_when_it_is_outdated(self, small: Small, clinic_id: str) -> None:
        number = count(1)

        def prepare(_ctx: Context) -> Any:
            return next(number)

        def work(ctx: Context, prepared: Any) -> Any:
            store(ctx.uow)
            if prepared < 3:
                raise PreparationOutdated
            return {"found": prepared}

        reply = small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})
        assert (reply.status, reply.json) == (200, {"found": 3})
        assert stored(small.database) == (2, 1)

    def test_is_given_up_when_it_is_outdated_each_time(self, small: Small, clinic_id: str) -> None:
        number = count()

        def prepare(_ctx: Context) -> Any:
            return next(number)

        def work(*_anything: Any) -> Any:
            raise PreparationOutdated

        reply = small.client(work, prepare).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})
        assert_error(reply, 503)
        assert next(number) == 5
