"""The queue of requests that wait for a thread, which is fair to callers.

Callers take turns, however many waiting requests each of them has. Turns alone are not enough, because a request cannot be
interrupted: a few large pages would keep all threads busy. So callers who recently sent a slow request occupy at most half
of the threads, and other callers find a free thread.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

# A request that takes more is slow. A page of 50 patients takes 5 to 10 ms of the processor, and one of 1,000 takes 100.
_SLOW_CPU_SECONDS = 0.03
# A request that takes longer than this is slow as well: it may have waited for another system. Quick requests take less,
# even on a machine that has too much to do.
_SLOW_SECONDS = 2.0
# How long a caller counts as slow after a slow request.
_SLOW_FOR_SECONDS = 60.0
# Reading the clock of a thread costs some microseconds. So it is read only during `_MEASURED_FOR_SECONDS` after a request
# that took longer than `_MEASURED_SECONDS`, which may just have waited for other threads.
_MEASURED_SECONDS = 0.05
_MEASURED_FOR_SECONDS = 5.0
# After this time (seconds) a thread gives the interpreter to one that waits for it. A quick request waits for it a dozen
# times, so the time is shorter while slow requests run. At other times this would cost a tenth more for each request.
_INTERVAL = sys.getswitchinterval()
_SHORT_INTERVAL = 0.0005

# Gives the caller of a request, as a key.
CallerOf = Callable[[], str]


class _Waiting(NamedTuple, Generic[T]):
    item: T
    caller_of: CallerOf


class FairQueue(Generic[T]):
    """Requests that wait, by caller. Shared by the threads, and by the event loop, which never waits here."""

    def __init__(self, threads: int) -> None:
        self._most_slow = max(1, threads // 2)
        self._running_slow = 0
        # The time until which each slow caller counts as slow.
        self._slow_until: dict[str, float] = {}
        self._measured_until = 0.0
        # Callers whose slow requests are not started just now.
        self._held_back: set[str] = set()
        # The caller whose turn is next comes first.
        self._waiting: OrderedDict[str, deque[_Waiting[T]]] = OrderedDict()
        self._lock = threading.Lock()
        # An entry for each waiting request that a thread may take. `_held` others wait until a thread becomes free.
        self._permits: SimpleQueue[None] = SimpleQueue()
        self._held = 0

    def put(self, item: T, caller_of: CallerOf) -> None:
        """Add a request. `caller_of` gives the key of its caller, which may be another one once the token is verified."""
        caller = caller_of()
        with self._lock:
            self._add(_Waiting(item, caller_of), caller)
        self._permits.put(None)

    def work(self, carry_out: Callable[[T], None]) -> None:
        """Wait for the request whose turn it is, and carry it out."""
        (item, caller_of), is_slow = self._take()
        started = time.monotonic()
        cpu_started = time.thread_time() if started < self._measured_until else None
        try:
            carry_out(item)
        finally:
            self._note(caller_of, time.monotonic() - started, cpu_started)
            if is_slow or self._held:
                self._release(is_slow)

    def hold_back(self, caller: str, *, is_held_back: bool) -> None:
        """Say whether slow requests of `caller` must wait, also when there are free threads."""
        if is_held_back == (caller in self._held_back):
            return
        with self._lock:
            if is_held_back:
                self._held_back.add(caller)
                return
            self._held_back.remove(caller)
            for _ in range(self._held):
                self._permits.put(None)
            self._held = 0

    def drop_for(self, caller: str) -> T | None:
        """Remove the last request of the caller who has the most, to make room for one of `caller`.

        None when nobody has more waiting than `caller`, whose own request must be refused then.
        """
        with self._lock:
            most = max(self._waiting, key=lambda one: len(self._waiting[one]), default=caller)
            if len(self._waiting.get(most, ())) <= len(self._waiting.get(caller, ())) + 1:
                return None
            # The entry of this request in `_permits` stays. The thread that takes it finds no request, which does no harm.
            return self._waiting[most].pop().item

    def _take(self) -> tuple[_Waiting[T], bool]:
        """The next request, and whether it is one of those that have at most half of the threads."""
        while True:
            self._permits.get()
            with self._lock:
                for caller in self._callers():
                    is_slow = self._is_slow(caller)
                    if is_slow and (self._running_slow >= self._most_slow or caller in self._held_back):
                        continue
                    if is_slow:
                        self._count_slow(1)
                    return self._pop(caller), is_slow
                self._held += 1

    def _callers(self) -> Iterable[str]:
        """The callers in the order of their turns."""
        if not self._slow_until:
            return self._waiting
        for known_before in list(self._waiting):
            # The token of these requests may have been new, and known since.
            while (first := self._waiting.get(known_before)) and (caller := first[0].caller_of()) != known_before:
                self._add(self._pop(known_before), caller)
        return self._waiting

    def _add(self, waiting: _Waiting[T], caller: str) -> None:
        if caller in self._waiting:
            self._waiting[caller].append(waiting)
        else:
            self._waiting[caller] = deque((waiting,))

    def _pop(self, caller: str) -> _Waiting[T]:
        """Take the first request of `caller`, who then has the last turn."""
        waiting = self._waiting[caller]
        taken = waiting.popleft()
        if waiting:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        return taken

    def _count_slow(self, change: int) -> None:
        self._running_slow += change
        sys.setswitchinterval(_SHORT_INTERVAL if self._running_slow else _INTERVAL)

    def _is_slow(self, caller: str) -> bool:
        return caller in self._slow_until and self._slow_until[caller] > time.monotonic()

    def _note(self, caller_of: CallerOf, seconds: float, cpu_started: float | None) -> None:
        """Record how long a request took."""
        if seconds <= _SLOW_CPU_SECONDS:
            return
        now = time.monotonic()
        if seconds > _MEASURED_SECONDS:
            self._measured_until = now + _MEASURED_FOR_SECONDS
        cpu_seconds = 0.0 if cpu_started is None else time.thread_time() - cpu_started
        if cpu_seconds > _SLOW_CPU_SECONDS or seconds > _SLOW_SECONDS:
            with self._lock:
                self._slow_until = {one: until for one, until in self._slow_until.items() if until > now}
                self._slow_until[caller_of()] = now + _SLOW_FOR_SECONDS

    def _release(self, is_slow: bool) -> None:
        """Give the thread that has become free to one of the requests that were held."""
        with self._lock:
            if is_slow:
                self._count_slow(-1)
            if self._held:
                self._held -= 1
                self._permits.put(None)
