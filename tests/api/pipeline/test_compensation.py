"""What an operation has done before its transaction, and what becomes of it when nothing is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clinic_service.context import Context
from clinic_service.errors import NotFound
from clinic_service.models import Clinician
from clinic_service.preparation import Preparation
from tests.support.cast import ALICE
from tests.support.client import Reply
from tests.support.databases import open_transactions
from tests.support.errors import assert_error
from tests.support.failing import Defect, given_up
from tests.support.rows import storing
from tests.support.small_work import Small, store, stored, transactions


class Missing(NotFound):
    message = "It was not found."


def change(small: Small, clinic_id: str, work: Callable[..., Any], prepare: Any, compensate: Any) -> Reply:
    return small.client(work, prepare, compensate).put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})


def reserve(_ctx: Preparation) -> str:
    return "a result"


def raising(error: Exception) -> Callable[..., Any]:
    def work(*_anything: Any) -> Any:
        raise error

    return work


class TestTransactionsOfPreparations:
    def test_are_committed_before_the_handler_runs(self, small: Small, clinic_id: str) -> None:
        seen: list[Any] = []

        def prepare(ctx: Preparation) -> Any:
            ctx.in_transaction(store)
            seen.append(stored(small.database))
            seen.append(open_transactions(small.database))

        with transactions(small.database) as ends:
            assert change(small, clinic_id, lambda *_: {}, prepare, None).status == 200
        assert seen == [(2, 1), 0]
        assert ends == ["begin", "commit", "begin", "commit"]

    def test_are_rolled_back_when_they_fail(self, small: Small, clinic_id: str) -> None:
        def fail(uow: Any) -> None:
            store(uow)
            raise Missing

        def prepare(ctx: Preparation) -> Any:
            ctx.in_transaction(fail)

        assert_error(change(small, clinic_id, raising(AssertionError()), prepare, raising(AssertionError())), 404)
        assert stored(small.database) == (0, 0)

    def test_run_again_like_any_other(self, small: Small, clinic_id: str) -> None:
        tries: list[int] = []

        def lose_once(uow: Any) -> str:
            tries.append(1)
            store(uow)
            if len(tries) == 1:
                raise given_up()
            return "done"

        def prepare(ctx: Preparation) -> Any:
            assert ctx.in_transaction(lose_once) == "done"

        assert change(small, clinic_id, lambda *_: {}, prepare, None).status == 200
        assert (stored(small.database), len(tries)) == ((2, 1), 2)


class TestCompensation:
    @pytest.mark.parametrize(("error", "status"), [(Missing(), 404), (Defect(), 500), (given_up(), 503)])
    def test_follows_a_failure_in_a_transaction_of_its_own(
        self, small: Small, clinic_id: str, error: Exception, status: int
    ) -> None:
        seen: list[Any] = []

        def compensate(ctx: Context, result: Any) -> None:
            seen.append((result, ctx.caller.id))
            store(ctx.uow)

        with transactions(small.database) as ends:
            assert_error(change(small, clinic_id, raising(error), reserve, compensate), status)
        assert seen == [("a result", ALICE.id)]
        assert stored(small.database) == (2, 1)
        assert ends[-3:] == ["rollback", "begin", "commit"]

    def test_does_not_follow_a_success(self, small: Small, clinic_id: str) -> None:
        assert change(small, clinic_id, lambda *_: {}, reserve, raising(AssertionError())).status == 200

    def test_does_not_follow_a_preparation_that_failed(self, small: Small, clinic_id: str) -> None:
        """It has nothing to hand over, and looks after itself."""
        compensated: list[Any] = []
        assert_error(change(small, clinic_id, raising(AssertionError()), raising(Missing()), compensated.append), 404)
        assert compensated == []

    def test_follows_when_access_is_lost_meanwhile(self, small: Small, clinic_id: str) -> None:
        compensated: list[Any] = []

        def prepare(_ctx: Preparation) -> str:
            with storing(small.database) as unit:
                unit.execute(Clinician.__table__.delete())  # type: ignore[attr-defined]
            return "a result"

        def compensate(_ctx: Context, result: Any) -> None:
            compensated.append(result)

        assert_error(change(small, clinic_id, raising(AssertionError()), prepare, compensate), 403)
        assert compensated == ["a result"]

    def test_that_fails_leaves_the_refusal_as_it_is(
        self, small: Small, clinic_id: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert_error(change(small, clinic_id, raising(Missing()), reserve, raising(Defect("Carol"))), 404)
        assert "Change: could not be compensated: Defect" in caplog.text
        assert "Carol" not in caplog.text
