"""The circuit breaker: when calls are refused, and when they are let through again."""

from __future__ import annotations

import threading

import pytest

from clinic_service import clock
from clinic_service.deadline import DeadlineExceeded
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways.breaker import Breaker, CircuitOpen

PAUSE = 10.0


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(failures=3, pause_seconds=PAUSE)


def call(breaker: Breaker, error: Exception | None = None) -> None:
    with breaker.guard():
        if error:
            raise error


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable) as failure:
            call(breaker, Unavailable())
        assert not isinstance(failure.value, CircuitOpen)


def assert_open(breaker: Breaker) -> CircuitOpen:
    with pytest.raises(CircuitOpen) as refusal, breaker.guard():
        raise AssertionError("must not be called")
    return refusal.value


def test_calls_pass_until_enough_have_failed(breaker: Breaker) -> None:
    fail(breaker, 2)
    call(breaker)
    fail(breaker, 3)
    assert_open(breaker)


def test_any_answer_ends_a_row_of_failures(breaker: Breaker) -> None:
    fail(breaker, 2)
    with pytest.raises(BadGateway):
        call(breaker, BadGateway())
    fail(breaker, 2)
    call(breaker)


def test_a_call_cut_short_by_the_request_is_no_failure(breaker: Breaker) -> None:
    for _ in range(5):
        with pytest.raises(DeadlineExceeded):
            call(breaker, DeadlineExceeded())
    call(breaker)


def test_a_refusal_tells_when_to_come_back(breaker: Breaker) -> None:
    fail(breaker, 3)
    assert assert_open(breaker).retry_after == 10
    with clock.advanced(PAUSE - 2.5):
        assert assert_open(breaker).retry_after == 3
    with clock.advanced(PAUSE - 0.001):
        assert assert_open(breaker).retry_after == 1


def test_one_call_tries_when_the_pause_is_over(breaker: Breaker) -> None:
    fail(breaker, 3)
    with clock.advanced(PAUSE):
        with breaker.guard():
            assert_open(breaker)
        call(breaker)
        fail(breaker, 2)
        call(breaker)


def test_a_try_that_fails_opens_it_again(breaker: Breaker) -> None:
    fail(breaker, 3)
    with clock.advanced(PAUSE):
        fail(breaker)
        assert_open(breaker)
        with clock.advanced(PAUSE):
            call(breaker)
        call(breaker)


def test_a_try_without_an_outcome_is_followed_by_another(breaker: Breaker) -> None:
    fail(breaker, 3)
    with clock.advanced(PAUSE):
        with pytest.raises(DeadlineExceeded):
            call(breaker, DeadlineExceeded())
        assert_open(breaker)
        with clock.advanced(PAUSE):
            call(breaker)


def test_one_of_many_threads_tries(breaker: Breaker) -> None:
    fail(breaker, 3)
    begin, passed, refused = threading.Barrier(8), list[int](), list[int]()
    let_go = threading.Event()

    def knock() -> None:
        begin.wait()
        try:
            with breaker.guard():
                passed.append(1)
                let_go.wait(10)
        except CircuitOpen:
            refused.append(1)
            if len(refused) == 7:
                let_go.set()

    with clock.advanced(PAUSE):
        threads = [threading.Thread(target=knock) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(passed), len(refused)) == (1, 7)
