"""FairQueue: whose request is carried out next, and which requests leave a thread free for others."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from random import Random
from types import SimpleNamespace

import pytest

from clinic_service.server import fair_queue
from clinic_service.server.fair_queue import FairQueue
from tests.support.gates import wait_until

SLOW = 0.1


class Clock:
    """The time, and the time of the processor that the thread has used. Both go on when a test says so."""

    def __init__(self) -> None:
        self.now, self.used = 1000.0, 5.0

    def spend(self, seconds: float) -> None:
        self.now += seconds
        self.used += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    times = SimpleNamespace(monotonic=lambda: clock.now, thread_time=lambda: clock.used)
    monkeypatch.setattr(fair_queue, "time", times)
    return clock


class Queue:
    """A queue of requests that are called by caller and number, such as `a1`. No thread works unless a test calls it."""

    def __init__(self, threads: int) -> None:
        self.queue: FairQueue[str] = FairQueue(threads)

    def put(self, *names: str) -> None:
        for name in names:
            self.queue.put(name, partial(str, name[0]))

    def work(self, times: int = 1, spend: Callable[[], object] = lambda: None) -> list[str]:
        """Carry out so many requests, each of which calls `spend`. Returns their names."""
        done: list[str] = []

        def carry_out(name: str) -> None:
            done.append(name)
            spend()

        for _ in range(times):
            self.queue.work(carry_out)
        return done

    def make_slow(self, caller: str, clock: Clock) -> None:
        """Let `caller` send two slow requests. How much of the processor one uses is measured from the second one on."""
        self.put(f"{caller}0", f"{caller}0")
        self.work(2, lambda: clock.spend(SLOW))

    def beside(self, slow: str, others: int) -> list[str]:
        """The names of the `others` that are carried out while the request `slow` is, which is the next one."""
        seen: list[str] = []

        def carry_out(name: str) -> None:
            assert name == slow
            seen.extend(self.work(others))

        self.queue.work(carry_out)
        return seen


class TestTurns:
    def test_requests_of_one_caller_keep_their_order(self) -> None:
        queue = Queue(1)
        queue.put("a1", "a2", "a3")
        assert queue.work(3) == ["a1", "a2", "a3"]

    def test_callers_take_turns(self) -> None:
        queue = Queue(1)
        queue.put("a1", "a2", "a3", "a4", "b1", "c1", "b2")
        assert queue.work(3) == ["a1", "b1", "c1"]
        queue.put("d1")
        assert queue.work(5) == ["a2", "b2", "d1", "a3", "a4"]


@pytest.mark.usefixtures("clock")
class TestSlowCallers:
    def test_leave_threads_to_others(self, clock: Clock) -> None:
        queue = Queue(2)
        queue.make_slow("a", clock)
        queue.put("a1", "a2", "a3", "b1")
        assert queue.beside("a1", 1) == ["b1"]
        assert queue.work(2) == ["a2", "a3"]

    def test_leave_threads_together(self, clock: Clock) -> None:
        queue = Queue(2)
        for caller in "abc":
            queue.make_slow(caller, clock)
        queue.put("a1", "b1", "c1", "d1", "d2")
        assert queue.beside("a1", 2) == ["d1", "d2"]
        assert queue.work(2) == ["b1", "c1"]

    def test_have_half_of_the_threads(self, clock: Clock) -> None:
        queue = Queue(4)
        queue.make_slow("a", clock)
        queue.put("a1", "a2", "b1")
        assert queue.beside("a1", 2) == ["b1", "a2"]

    def test_wait_while_they_are_held_back(self, clock: Clock) -> None:
        queue = Queue(2)
        queue.make_slow("a", clock)
        queue.put("a1", "a2", "b1", "a3", "b2")
        queue.queue.hold_back("a", is_held_back=True)
        assert queue.work(2) == ["b1", "b2"]
        queue.queue.hold_back("a", is_held_back=False)
        assert queue.work(3) == ["a1", "a2", "a3"]

    def test_are_held_back_by_name(self, clock: Clock) -> None:
        queue = Queue(2)
        for caller in "ab":
            queue.make_slow(caller, clock)
        queue.queue.hold_back("a", is_held_back=True)
        queue.put("a1", "b1")
        assert queue.work(1) == ["b1"]

    def test_use_the_only_thread(self, clock: Clock) -> None:
        queue = Queue(1)
        queue.make_slow("a", clock)
        queue.put("a1", "a2", "b1")
        assert queue.work(3) == ["a1", "b1", "a2"]

    def test_are_quick_again_after_a_while(self, clock: Clock) -> None:
        queue = Queue(2)
        queue.make_slow("a", clock)
        clock.now += 60
        queue.put("a1", "a2", "b1")
        assert queue.beside("a1", 1) == ["b1"]
        clock.now += 1
        queue.put("a3")
        assert queue.beside("a2", 1) == ["a3"]

    def test_are_not_those_who_wait_for_the_processor(self, clock: Clock) -> None:
        def wait() -> None:
            clock.now += 1.9

        queue = Queue(2)
        queue.put("a1", "a2", "a3")
        queue.work(3, wait)
        queue.put("a4", "a5")
        assert queue.beside("a4", 1) == ["a5"]

    def test_are_those_who_wait_for_another_system(self, clock: Clock) -> None:
        def wait() -> None:
            clock.now += 2.1

        queue = Queue(2)
        queue.put("a1")
        queue.work(1, wait)
        queue.put("a2", "a3", "b1")
        assert queue.beside("a2", 1) == ["b1"]

    def test_are_those_of_many_quick_requests_never(self, clock: Clock) -> None:
        queue = Queue(2)
        queue.make_slow("b", clock)
        queue.put(*["a1"] * 500)
        queue.work(500, lambda: clock.spend(0.005))
        queue.put("a2", "a3")
        assert queue.beside("a2", 1) == ["a3"]

    def test_are_known_as_soon_as_their_token_is(self, clock: Clock) -> None:
        """Requests with a new token wait together with those of the same address."""
        queue, known = Queue(2), dict[str, str]()
        queue.make_slow("a", clock)

        def caller(name: str) -> str:
            return known.get(name[0], "address")

        for name in ("a1", "a2", "b1"):
            queue.queue.put(name, partial(caller, name))
        known["a"] = "a"
        assert queue.beside("a1", 1) == ["b1"]
        assert queue.work(1) == ["a2"]

    def test_are_known_by_the_caller_that_the_request_found_out(self, clock: Clock) -> None:
        queue = Queue(2)
        found = iter("?a")
        queue.put("b0")
        queue.work(1, lambda: clock.spend(SLOW))
        queue.queue.put("a0", lambda: next(found))
        queue.work(1, lambda: clock.spend(SLOW))
        queue.put("a1", "a2", "?1")
        assert queue.beside("a1", 1) == ["?1"]

    def test_hand_the_interpreter_over_more_often(self, clock: Clock) -> None:
        queue, before = Queue(2), sys.getswitchinterval()
        queue.make_slow("a", clock)
        queue.put("a1", "b1")
        seen: list[float] = []
        queue.work(2, lambda: seen.append(sys.getswitchinterval()))
        assert seen[0] < before
        assert seen[1] == sys.getswitchinterval() == before

    def test_that_fail_leave_their_thread(self, clock: Clock) -> None:
        def fail(_name: str) -> None:
            raise ValueError("as the test says")

        queue = Queue(2)
        queue.make_slow("a", clock)
        queue.put("a1", "a2", "a3")
        with pytest.raises(ValueError, match="as the test says"):
            queue.queue.work(fail)
        assert queue.work(2) == ["a2", "a3"]


class TestRoom:
    def test_is_made_by_the_last_request_of_the_caller_with_the_most(self) -> None:
        queue = Queue(1)
        queue.put("a1", "b1", "b2", "b3", "c1", "c2")
        assert queue.queue.drop_for("d") == "b3"
        assert queue.queue.drop_for("a") is None
        assert queue.work(5) == ["a1", "b1", "c1", "b2", "c2"]

    @pytest.mark.parametrize("caller", ["a", "b", "c"])
    def test_is_not_made_for_somebody_who_would_have_as_many(self, caller: str) -> None:
        queue = Queue(1)
        queue.put("a1", "b1")
        assert queue.queue.drop_for(caller) is None
        assert queue.work(2) == ["a1", "b1"]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_request_is_carried_out_once(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real threads: with slow callers, quick ones, and some who are slow at times."""
    for name in ("_SLOW_SECONDS", "_SLOW_CPU_SECONDS", "_MEASURED_SECONDS"):
        monkeypatch.setattr(fair_queue, name, 0.002)
    monkeypatch.setattr(fair_queue, "_SLOW_FOR_SECONDS", 0.02)
    queue: FairQueue[int] = FairQueue(threads)
    random, done, most = Random(threads), list[int](), 600

    def carry_out(number: int) -> None:
        if number % 7 == 0:
            threading.Event().wait(0.003)
        done.append(number)

    def run() -> None:
        while True:
            queue.work(carry_out)

    for _ in range(threads):
        threading.Thread(target=run, daemon=True).start()
    for number in range(most):
        queue.put(number, partial(str, random.randrange(5)))
    wait_until(lambda: len(done) == most)
    assert sorted(done) == list(range(most))
