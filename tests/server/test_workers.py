"""Workers: how often their results wake the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from clinic_service.server.workers import Workers
from tests.support.gates import MAX_WAIT, wait_until


class Loop:
    """An event loop that takes a step when a test says so."""

    def __init__(self) -> None:
        self.wakes: list[Callable[[], None]] = []
        self.pauses: list[tuple[float, Callable[[], None]]] = []

    def call_soon_threadsafe(self, call: Callable[[], None]) -> None:
        self.wakes.append(call)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.pauses.append((seconds, call))

    def call_soon(self, call: Callable[[Any], None], result: Any) -> None:
        call(result)


class Requests:
    """Requests that end one by one, when a test says so, in one thread."""

    def __init__(self, number: int, *, with_line: bool = False) -> None:
        """`with_line`: another thread tells the results, as the log of the audit trail does."""
        self.loop = Loop()
        self.told: list[int] = []
        self.ended = 0
        self.workers = Workers(cast(asyncio.AbstractEventLoop, self.loop), 1, "request")
        self._with_line = with_line
        self._permits = threading.Semaphore(0)
        for one in range(number):
            self.workers.submit(partial(self._carry_out, one), self.told.append)

    def _carry_out(self, number: int, tell: Callable[[int], None]) -> int | None:
        assert self._permits.acquire(timeout=MAX_WAIT)
        if self._with_line:
            tell(number)
            return None
        return number

    def end(self, number: int) -> None:
        """Let the next `number` requests end."""
        self.ended += number
        self._permits.release(number)
        wait_until(lambda: len(self.told) + len(self.workers._results) == self.ended)

    def wake(self) -> None:
        """Let the loop do what it was woken for."""
        wait_until(lambda: bool(self.loop.wakes))
        self.loop.wakes.pop()()


def test_results_of_few_requests_wake_the_loop_one_by_one() -> None:
    requests = Requests(3)
    for number in range(3):
        requests.end(1)
        requests.wake()
        assert requests.told == list(range(number + 1))
    assert not requests.loop.pauses


def test_results_of_many_requests_are_taken_together_after_a_short_pause() -> None:
    requests = Requests(20)
    requests.end(1)
    requests.wake()
    assert requests.told == [0]
    requests.end(4)
    assert not requests.loop.wakes
    [(seconds, take)] = requests.loop.pauses
    assert seconds == pytest.approx(0.005)
    take()
    assert requests.told == [0, 1, 2, 3, 4]


def test_the_pause_is_shorter_than_the_requests_that_are_left() -> None:
    requests = Requests(11)
    requests.end(1)
    requests.wake()
    assert [seconds for seconds, _ in requests.loop.pauses] == [pytest.approx(0.003)]


def test_the_last_results_wake_the_loop_again() -> None:
    requests = Requests(9)
    requests.end(1)
    requests.wake()
    requests.end(1)
    [(_, take)] = requests.loop.pauses
    take()
    for number in range(2, 9):
        requests.end(1)
        requests.wake()
        assert requests.told == list(range(number + 1))
    assert len(requests.loop.pauses) == 1


def test_results_that_another_thread_tells_wake_the_loop_at_once() -> None:
    requests = Requests(20, with_line=True)
    requests.end(1)
    requests.wake()
    requests.end(1)
    requests.wake()
    assert requests.told == [0, 1]
    assert not requests.loop.pauses


def test_requests_that_were_dropped_do_not_count_as_unfinished() -> None:
    requests = Requests(10)
    for _ in range(2):
        assert requests.workers.drop_for("another")
    requests.end(1)
    requests.wake()
    assert not requests.loop.pauses
