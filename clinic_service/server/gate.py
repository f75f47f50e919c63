"""Gate: what the connections of one process share: the application, the threads, the bounds and the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import chain
from typing import Any, Protocol

from clinic_service.api.exchange import RawAnswer
from clinic_service.api.pages import LIVE, READY, READY_KEY
from clinic_service.errors import ServiceError
from clinic_service.server.connection import Connection
from clinic_service.server.errors import Overloaded
from clinic_service.server.limits import Limits
from clinic_service.server.reader import Request
from clinic_service.server.workers import Workers

# A reader that has taken nothing for so long may be cut off when memory is short.
_STALLED_SECONDS = 1.0
_READY_SECONDS = 0.9

Answered = Callable[[RawAnswer | None], None]


class Application(Protocol):
    """What the server serves; see `api.routing.LeanFlask`."""

    def admit(self, environ: dict[str, Any]) -> RawAnswer | int: ...
    def answer(self, environ: dict[str, Any]) -> RawAnswer: ...
    def refuse(self, refusal: ServiceError, environ: dict[str, Any]) -> RawAnswer: ...


class Gate:
    """Lets requests through to the application, within bounds. Belongs to one event loop."""

    def __init__(
        self,
        app: Application,
        limits: Limits,
        *,
        threads: int,
        is_ready: Callable[[], bool] = lambda: True,
        prefix: str = "",
    ) -> None:
        """`is_ready` tells whether the database can be used; it is called in a thread of its own."""
        self.limits = limits
        self.stopping = False
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._workers = Workers(self._loop, threads, "request")
        self._probe = _ReadinessProbe(self._loop, is_ready)
        self._live, self._ready = prefix + LIVE, prefix + READY
        # In the order in which they were last answered, or opened.
        self._connections: dict[Connection, None] = {}
        self.requests = 0
        """Requests that are waiting or being worked on."""
        self.buffered = 0
        """Bytes that are kept for clients, as of the last check."""

    def opened(self, connection: Connection) -> None:
        """Note a new connection; beyond the limit another one is closed for it."""
        if len(self._connections) >= self.limits.connections:
            self._make_room(connection)
        self._connections[connection] = None

    def answered(self, connection: Connection) -> None:
        """Note that a request of the connection was answered."""
        if self._connections.pop(connection, self) is None:
            self._connections[connection] = None

    def lost(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self._connections.pop(connection, None)

    def is_idle(self) -> bool:
        """Whether no connection is left."""
        return not self._connections

    @property
    def incomplete(self) -> int:
        """Connections with a request that has not arrived in whole."""
        return sum(connection.is_incomplete for connection in self._connections)

    def admit(self, request: Request, done: Callable[[RawAnswer | int | None], None]) -> None:
        """Ask the application, in a thread, whether the body of `request` is to be read."""
        self._submit(request, request.environ(with_body=False), self._app.admit, done)

    def carry_out(self, request: Request, done: Answered) -> None:
        """Let the application answer `request`."""
        path = request.target.partition("?")[0]
        if path == self._live:
            # Asks nobody, so it may run here, however busy the threads are.
            self._loop.call_soon(done, self._app.answer(request.environ()))
        elif path == self._ready:
            self._probe.ask(lambda ready: done(self._app.answer({**request.environ(), READY_KEY: ready})))
        else:
            self._submit(request, request.environ(), self._app.answer, done)

    def refuse(self, refusal: ServiceError, request: Request) -> RawAnswer:
        """The answer to a request that goes no further."""
        return self._app.refuse(refusal, request.environ())

    def buffer(self, size: int) -> bool:
        """Whether `size` more bytes may be kept for clients."""
        self.buffered += size
        return self.buffered <= self.limits.buffered_bytes

    def _submit(
        self,
        request: Request,
        environ: dict[str, Any],
        work: Callable[[dict[str, Any]], Any],
        done: Callable[[Any], None],
    ) -> None:
        if self.requests >= self.limits.requests or self.buffered > self.limits.buffered_bytes:
            # Later, so that many requests sent ahead are not refused one within the other.
            self._loop.call_soon(done, self.refuse(Overloaded(), request))
            return
        self.requests += 1

        def ended(result: Any) -> None:
            self.requests -= 1
            done(result)

        self._workers.submit(lambda: work(environ), ended)

    async def watch(self) -> None:
        """Look at the deadlines for ever."""
        while True:
            await asyncio.sleep(self.limits.check_seconds)
            self.check(time.monotonic())

    def check(self, now: float) -> None:
        """Close what is late, and the slowest readers when more is kept for clients than may be."""
        for connection in list(self._connections):
            connection.check(now)
        self.buffered = sum(connection.buffered for connection in self._connections)
        if self.buffered > self.limits.buffered_bytes:
            self._cut_off_slow_readers(now)

    def _cut_off_slow_readers(self, now: float) -> None:
        stalled = [c for c in self._connections if c.unread and now - c.taken >= _STALLED_SECONDS]
        for connection in sorted(stalled, key=lambda c: c.taken):
            if self.buffered <= self.limits.buffered_bytes:
                break
            self.buffered -= connection.buffered
            connection.abort("memory")

    def _make_room(self, new: Connection) -> None:
        """Close the connection that has been silent for longest, else the oldest with an incomplete request, else `new`."""
        silent = (connection for connection in self._connections if connection.is_silent)
        incomplete = (connection for connection in self._connections if connection.is_incomplete)
        next(chain(silent, incomplete, [new])).abort("limit")

    def stop(self) -> None:
        """Close what is idle, and every other connection after its present answer."""
        self.stopping = True
        for connection in list(self._connections):
            connection.stop()

    def abort(self) -> None:
        """Close everything at once."""
        for connection in list(self._connections):
            connection.abort("stop")


class _ReadinessProbe:
    """Asks whether the database can be used, once at a time, and waits for the answer no longer than a second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, is_ready: Callable[[], bool]) -> None:
        self._loop, self._is_ready = loop, is_ready
        self._workers = Workers(loop, 1, "readiness")
        self._waiting: list[Callable[[bool], None]] = []
        self._is_asking = False

    def ask(self, done: Callable[[bool], None]) -> None:
        """Call `done` with the state; with False when it cannot be had in time."""
        self._waiting.append(done)
        self._loop.call_later(_READY_SECONDS, self._tell_one, done)
        if not self._is_asking:
            self._is_asking = True
            self._workers.submit(self._is_ready, self._tell_all)

    def _tell_one(self, done: Callable[[bool], None]) -> None:
        if done in self._waiting:
            self._waiting.remove(done)
            done(False)

    def _tell_all(self, ready: bool | None) -> None:
        self._is_asking = False
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(bool(ready))
