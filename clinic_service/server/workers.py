"""Threads that carry out requests, so that the event loop never waits for one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from clinic_service.server.fair_queue import CallerOf, FairQueue

_log = logging.getLogger(__name__)

Done = Callable[[Any], None]
# Returns its result, or returns None and passes the result to the given function later, once, from another thread.
Work = Callable[[Done], Any]
# While this many requests or more are unfinished, and their results come one by one, the event loop takes the results
# together, after a pause that is shorter than the requests take.
_MANY = 8
_PAUSE_SECONDS_PER_REQUEST = 0.0003
_LONGEST_PAUSE_SECONDS = 0.005


class Workers:
    """A few threads with one queue, in which callers take turns.

    They are daemons, so that a call that hangs does not keep the process from ending.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int, name: str) -> None:
        self._loop = loop
        self._queue: FairQueue[tuple[Work, Done]] = FairQueue(threads)
        self._results: deque[tuple[Done, Any]] = deque()
        self._is_waking = False
        self._is_one_by_one = False
        self._unfinished = 0
        for number in range(threads):
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True).start()

    def submit(self, work: Work, done: Done, caller_of: CallerOf = str) -> None:
        """Let `work` run in a thread, then call `done` with its result on the event loop; with None when `work` raised."""
        self._unfinished += 1
        self._queue.put((work, done), caller_of)

    def hold_back(self, caller: str, *, is_held_back: bool) -> None:
        """See `FairQueue`."""
        self._queue.hold_back(caller, is_held_back=is_held_back)

    def drop_for(self, caller: str) -> Done | None:
        """Drop work that waits, to make room for work of `caller`; see `FairQueue`. The `done` of it is not called."""
        dropped = self._queue.drop_for(caller)
        if dropped is None:
            return None
        self._unfinished -= 1
        return dropped[1]

    def _run(self) -> None:
        while True:
            # Nothing of a request stays in memory until the next one.
            self._queue.work(self._carry_out)

    def _carry_out(self, submitted: tuple[Work, Done]) -> None:
        work, done = submitted
        tell = partial(self._tell, done)
        try:
            result = work(tell)
        except Exception as error:
            _log.error("a request failed outside the application: %s", type(error).__name__)
            tell(None)
            return
        self._is_one_by_one = result is not None
        if result is not None:
            tell(result)

    def _tell(self, done: Done, result: Any) -> None:
        self._results.append((done, result))
        # Waking the loop costs a multiple of the rest, so several results wake it once.
        if not self._is_waking:
            self._is_waking = True
            # The loop is closed when the process ends before the thread does.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take_results)

    def _take_results(self) -> None:
        left = self._unfinished - len(self._results)
        if self._is_one_by_one and left >= _MANY:
            # Each time the loop wakes, it takes the interpreter from the thread that works on a request.
            self._loop.call_later(min(left * _PAUSE_SECONDS_PER_REQUEST, _LONGEST_PAUSE_SECONDS), self._take_results)
        else:
            # Set first: the results that come from now on wake the loop again.
            self._is_waking = False
        while self._results:
            done, result = self._results.popleft()
            self._unfinished -= 1
            self._loop.call_soon(done, result)
