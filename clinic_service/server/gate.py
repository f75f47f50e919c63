"""Gate: what the connections of one process share: the application, the threads, the limits and the deadlines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, Protocol

from clinic_service.api.exchange import RawAnswer
from clinic_service.api.pages import LIVE, READY, READY_KEY
from clinic_service.db.readiness import Health
from clinic_service.errors import ServiceError
from clinic_service.metrics.counters import observe_loop_delay, set_load
from clinic_service.server.connection import Connection
from clinic_service.server.errors import Overloaded
from clinic_service.server.fair_queue import CallerOf
from clinic_service.server.limits import Limits
from clinic_service.server.reader import HttpRequest
from clinic_service.server.workers import Workers

# When too many bytes are in memory, clients that have received nothing for this long are disconnected first. Then those
# whose answer began longer ago than this are disconnected, beginning with the one that has most left to receive.
_STALLED_SECONDS = 1.0
_READY_SECONDS = 0.9

Answered = Callable[[RawAnswer | None], None]


class Application(Protocol):
    """The application that the server calls; see `api.routing.LeanFlask`."""

    def admit(self, environ: dict[str, Any]) -> RawAnswer | int:
        """How many bytes of the body are to be read, or an answer that refuses the request before its body is read."""

    def answer(self, environ: dict[str, Any]) -> RawAnswer:
        """The answer to a request that has arrived completely."""

    def refuse(self, refusal: ServiceError, environ: dict[str, Any]) -> RawAnswer:
        """The answer to a request that the server itself refuses."""

    def caller_key(self, environ: dict[str, Any]) -> str:
        """The key of the caller of the request. The threads are distributed among the callers."""


class Gate:
    """Passes requests to the application, within the limits. Belongs to one event loop."""

    def __init__(
        self,
        app: Application,
        limits: Limits,
        *,
        threads: int,
        health: Callable[[], Health] = lambda: Health.OK,
        prefix: str = "",
    ) -> None:
        """`health` tells whether the database can be used; it is called in a thread of its own."""
        self.limits = limits
        self.stopping = False
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._threads = threads
        self._delay = 0.0
        self._workers = Workers(self._loop, threads, "request")
        self._probe = _ReadinessProbe(self._loop, health)
        self._live, self._ready = prefix + LIVE, prefix + READY
        # Ordered by the time of their last answer, or of their opening.
        self._connections: dict[Connection, None] = {}
        # Bytes of large answers that callers have not received, by caller.
        self._owed: dict[str, int] = {}
        self.requests = 0
        """Requests that are waiting or being worked on."""
        self.buffered = 0
        """Bytes in memory for clients, as of the last check."""

    def replace_app(self, app: Application) -> None:
        """Let `app` answer all further requests."""
        self._app = app

    def opened(self, connection: Connection) -> None:
        """Record a new connection. Beyond the limit another connection is closed."""
        if len(self._connections) >= self.limits.connections:
            self._make_room(connection)
        self._connections[connection] = None

    def answered(self, connection: Connection) -> None:
        """Record that a request of the connection was answered."""
        if self._connections.pop(connection, self) is None:
            self._connections[connection] = None

    def lost(self, connection: Connection) -> None:
        """Record that a connection was closed."""
        self._connections.pop(connection, None)

    def is_idle(self) -> bool:
        """Whether no connection is left."""
        return not self._connections

    @property
    def incomplete(self) -> int:
        """The number of connections with an incomplete request."""
        return sum(connection.is_incomplete for connection in self._connections)

    def admit(self, request: HttpRequest, done: Callable[[RawAnswer | int | None], None]) -> None:
        """Ask the application, in a thread, how much of the body of `request` is to be read."""
        self._submit(request, request.environ(with_body=False), self._app.admit, done)

    def carry_out(self, request: HttpRequest, done: Answered) -> None:
        """Let the application answer `request`."""
        path = request.target.partition("?")[0]
        if path == self._live:
            # It waits for nothing, so it runs here, even when all threads are busy.
            self._loop.call_soon(done, self._app.answer(request.environ()))
        elif path == self._ready:
            self._probe.ask(lambda health: done(self._app.answer({**request.environ(), READY_KEY: health})))
        else:
            self._submit(request, request.environ(), self._app.answer, done)

    def refuse(self, refusal: ServiceError, request: HttpRequest) -> RawAnswer:
        """The answer to a request that the server itself refuses."""
        return self._app.refuse(refusal, request.environ())

    def owe(self, caller: str, change: int) -> None:
        """Add `change` bytes to those of large answers that `caller` has not received.

        While they are too many, no slow requests of the caller are started, which would take the memory of others.
        """
        owed = self._owed[caller] = self._owed.get(caller, 0) + change
        if not owed:
            del self._owed[caller]
        self._workers.hold_back(caller, is_held_back=owed > self.limits.unread_bytes_of_caller)

    def buffer(self, size: int) -> bool:
        """Add `size` bytes to those in memory for clients. Returns whether the limit allows them."""
        self.buffered += size
        return self.buffered <= self.limits.buffered_bytes

    def _submit(
        self,
        request: HttpRequest,
        environ: dict[str, Any],
        work: Callable[[dict[str, Any]], Any],
        done: Callable[[Any], None],
    ) -> None:
        caller_of = request.caller_of = partial(self._app.caller_key, environ)
        if self.buffered > self.limits.buffered_bytes or not self._has_room(caller_of):
            # Called later, so that the refusals of many pipelined requests are not nested calls.
            self._loop.call_soon(done, self.refuse(Overloaded(), request))
            return
        self.requests += 1

        def ended(result: Any) -> None:
            self.requests -= 1
            done(self.refuse(result, request) if isinstance(result, ServiceError) else result)

        def carry_out(tell: Callable[[Any], None]) -> Any:
            result = work(environ)
            # A class cannot be asked for here: after a reload, answers are of another one.
            if isinstance(result, int) or result.line is None:
                return result
            # This thread goes on with the next request while the line is written.
            log, text = result.line
            log.append(text, lambda failure: tell(self._app.refuse(failure, environ) if failure else result))
            return None

        self._workers.submit(carry_out, ended, caller_of)

    def _has_room(self, caller_of: CallerOf) -> bool:
        """Whether one more request may wait. Beyond the limit, the caller with the most gives way to others."""
        if self.requests < self.limits.requests:
            return True
        dropped = self._workers.drop_for(caller_of())
        if dropped:
            self._loop.call_soon(dropped, Overloaded())
        return dropped is not None

    async def watch(self, measure: Callable[[], None] = lambda: None) -> None:
        """Check the deadlines in an endless loop, and call `measure` after each check."""
        while True:
            planned = time.monotonic() + self.limits.check_seconds
            await asyncio.sleep(self.limits.check_seconds)
            now = time.monotonic()
            self.check(now)
            self._delay = now - planned
            measure()

    def check(self, now: float) -> None:
        """Close connections that missed a deadline, and those of the slowest readers when too many bytes are in memory."""
        for connection in list(self._connections):
            connection.check(now)
        self.buffered = sum(connection.buffered for connection in self._connections)
        if self.buffered > self.limits.buffered_bytes:
            self._cut_off_slow_readers(now)

    def measure(self) -> None:
        """Set the metrics of the work of this process to those of this moment."""
        observe_loop_delay(self._delay)
        set_load(
            running=min(self.requests, self._threads),
            waiting=max(0, self.requests - self._threads),
            connections=len(self._connections),
            buffered=self.buffered,
        )

    def _cut_off_slow_readers(self, now: float) -> None:
        stalled = [c for c in self._connections if c.unread and now - c.taken >= _STALLED_SECONDS]
        slow = [c for c in self._connections if c.unread and now - c.begun >= _STALLED_SECONDS and c not in stalled]
        stalled.sort(key=lambda c: c.taken)
        slow.sort(key=lambda c: c.unread, reverse=True)
        for connection in (*stalled, *slow):
            if self.buffered <= self.limits.buffered_bytes:
                break
            self.buffered -= connection.buffered
            connection.abort("memory")

    def _make_room(self, new: Connection) -> None:
        """Close the connection that is silent the longest, else the oldest with an incomplete request, else `new`."""
        silent = (connection for connection in self._connections if connection.is_silent)
        incomplete = (connection for connection in self._connections if connection.is_incomplete)
        next(chain(silent, incomplete, [new])).abort("limit")

    def stop(self) -> None:
        """Close idle connections now, and every other connection after its present answer."""
        self.stopping = True
        for connection in list(self._connections):
            connection.stop()

    def abort(self) -> None:
        """Close all connections at once."""
        for connection in list(self._connections):
            connection.abort("stop")


class _ReadinessProbe:
    """Tests whether the database can be used, one test at a time, and waits for the result at most a second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, health: Callable[[], Health]) -> None:
        self._loop, self._health = loop, health
        self._workers = Workers(loop, 1, "readiness")
        self._waiting: list[Callable[[Health], None]] = []
        self._is_asking = False

    def ask(self, done: Callable[[Health], None]) -> None:
        """Call `done` with the result; with UNAVAILABLE when there is none in time."""
        self._waiting.append(done)
        self._loop.call_later(_READY_SECONDS, self._tell_one, done)
        if not self._is_asking:
            self._is_asking = True
            self._workers.submit(lambda _: self._health(), self._tell_all)

    def _tell_one(self, done: Callable[[Health], None]) -> None:
        if done in self._waiting:
            self._waiting.remove(done)
            done(Health.UNAVAILABLE)

    def _tell_all(self, health: Health | None) -> None:
        self._is_asking = False
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(health or Health.UNAVAILABLE)
