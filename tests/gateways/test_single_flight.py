"""Several threads that need the same thing at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from clinic_service import clock, deadline
from clinic_service.deadline import DeadlineExceeded
from clinic_service.errors import Unavailable
from clinic_service.gateways.single_flight import SingleFlight


class Flight:
    """Work that begins, waits to be let go, and counts how often it was done."""

    def __init__(self, *outcomes: Any) -> None:
        self.shared = SingleFlight[Any]()
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.outcomes = list(outcomes)
        self.count = 0

    def work(self) -> Any:
        self.count += 1
        outcome = self.outcomes.pop(0)
        self.begun.set()
        assert self.let_go.wait(10)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def ask(self) -> Any:
        try:
            return self.shared.do(self.work)
        except Unavailable as error:
            return type(error)


def in_threads(*asking: Callable[[], Any]) -> tuple[list[threading.Thread], list[Any]]:
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda ask=ask: outcomes.append(ask())) for ask in asking]
    for thread in threads:
        thread.start()
    return threads, outcomes


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Is released by every thread that is about to wait for the outcome of another."""
    count, remaining = threading.Semaphore(0), deadline.remaining

    def note() -> float | None:
        count.release()
        return remaining()

    monkeypatch.setattr(deadline, "remaining", note)
    return count


@pytest.mark.parametrize(("outcome", "seen"), [("token", "token"), (Unavailable(), Unavailable)])
def test_one_thread_works_for_all(outcome: Any, seen: Any, waiting: threading.Semaphore) -> None:
    flight = Flight(outcome)
    first, outcomes = in_threads(flight.ask)
    assert flight.begun.wait(10)
    others, other_outcomes = in_threads(*[flight.ask] * 4)
    assert all(waiting.acquire(timeout=10) for _ in others)
    flight.let_go.set()
    for thread in first + others:
        thread.join()
    assert outcomes + other_outcomes == [seen] * 5
    assert flight.count == 1


def test_it_is_done_anew_when_nobody_is_at_it() -> None:
    flight = Flight("first", "second")
    flight.let_go.set()
    assert [flight.ask(), flight.ask()] == ["first", "second"]


def test_nobody_waits_beyond_their_own_deadline() -> None:
    flight = Flight("token")
    threads, outcomes = in_threads(flight.ask)
    assert flight.begun.wait(10)
    with deadline.limited(0.05), pytest.raises(DeadlineExceeded):
        flight.shared.do(flight.work)
    assert (flight.count, outcomes) == (1, [])
    flight.let_go.set()
    threads[0].join()
    assert outcomes == ["token"]


def test_whose_time_is_over_does_not_begin_to_wait() -> None:
    flight = Flight("token")
    threads, _ = in_threads(flight.ask)
    assert flight.begun.wait(10)
    with deadline.limited(5), clock.advanced(5), pytest.raises(DeadlineExceeded):
        flight.shared.do(flight.work)
    flight.let_go.set()
    threads[0].join()


def test_the_deadline_of_the_thread_that_works_is_not_that_of_the_others(waiting: threading.Semaphore) -> None:
    flight = Flight(DeadlineExceeded(), "token")
    threads, outcomes = in_threads(flight.ask)
    assert flight.begun.wait(10)
    others, other_outcomes = in_threads(flight.ask)
    assert waiting.acquire(timeout=10)
    flight.let_go.set()
    for thread in threads + others:
        thread.join()
    assert (outcomes, other_outcomes) == ([DeadlineExceeded], ["token"])
