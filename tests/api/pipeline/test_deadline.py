"""The time that one request has, passed down to everything that is done for it."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from clinic_service import clock, deadline
from clinic_service.context import Context
from clinic_service.deadline import DeadlineExceeded
from tests.support.cast import ALICE
from tests.support.client import Reply
from tests.support.errors import assert_error
from tests.support.small_work import Small, store, stored


class Passing(ExitStack):
    """Lets time pass, until the test ends."""

    def seconds(self, seconds: float) -> None:
        self.enter_context(clock.advanced(seconds))


@pytest.fixture
def passing() -> Iterator[Passing]:
    with Passing() as time:
        yield time


def change(
    small: Small, clinic_id: str, work: Any, prepare: Any = None, compensate: Any = None, **settings: Any
) -> Reply:
    client = small.client(work, prepare, compensate, **settings)
    return client.put(f"/clinics/{clinic_id}", as_=ALICE, json={"name": "x"})


class TestModule:
    def test_without_a_request_there_is_none(self) -> None:
        assert deadline.remaining() is None
        assert deadline.shortened(7) == 7

    def test_what_remains_shortens_and_ends(self, passing: Passing) -> None:
        with deadline.limited(10):
            assert deadline.shortened(5) == 5
            passing.seconds(7)
            assert 2 < deadline.shortened(5) <= 3
            passing.seconds(3)
            for ask in (deadline.remaining, lambda: deadline.shortened(5)):
                with pytest.raises(DeadlineExceeded):
                    ask()
            with deadline.unlimited():
                assert deadline.remaining() is None
        assert deadline.remaining() is None

    def test_the_earlier_one_counts(self) -> None:
        with deadline.limited(10), deadline.limited(60):
            assert deadline.shortened(60) <= 10
        with deadline.limited(60), deadline.limited(10):
            assert deadline.shortened(60) <= 10

    def test_a_copy_of_the_context_has_it(self) -> None:
        with deadline.limited(10):
            copy = contextvars.copy_context()
        assert copy.run(deadline.shortened, 60) <= 10


class TestRequests:
    def test_have_thirty_seconds_unless_a_setting_says_otherwise(self, small: Small, clinic_id: str) -> None:
        seen: list[float] = []

        def work(_ctx: Context) -> Any:
            seen.append(deadline.shortened(1000))
            return {}

        change(small, clinic_id, work)
        change(small, clinic_id, work, request_seconds=7)
        assert 29 < seen[0] <= 30
        assert 6 < seen[1] <= 7

    def test_that_take_too_long_to_prepare_change_nothing(self, small: Small, clinic_id: str, passing: Passing) -> None:
        """And what was prepared is undone, although there is no time left."""
        undone: list[Any] = []

        def prepare(_ctx: Context) -> str:
            passing.seconds(31)
            return "what was prepared"

        def work(*_anything: Any) -> Any:
            raise AssertionError("must not be reached")

        def compensate(ctx: Context, prepared: str) -> None:
            undone.append(prepared)
            store(ctx.uow)

        reply = change(small, clinic_id, work, prepare, compensate)
        assert_error(reply, 503)
        assert reply.headers["Retry-After"] == "1"
        assert undone == ["what was prepared"]
        assert stored(small.database) == (2, 1)

    def test_that_are_done_are_not_refused_any_more(self, small: Small, clinic_id: str, passing: Passing) -> None:
        def work(ctx: Context) -> Any:
            store(ctx.uow)
            passing.seconds(31)
            return {}

        assert change(small, clinic_id, work).status == 200
        assert stored(small.database) == (2, 1)
