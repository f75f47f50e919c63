"""One server process: runs the event loop until the process is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from clinic_service.config import ConfigError
from clinic_service.server.connection import Connection
from clinic_service.server.gate import Gate
from clinic_service.server.limits import Limits
from clinic_service.server.metrics_port import answer_metrics
from clinic_service.server.parts import Parts

_log = logging.getLogger(__name__)

# Makes the parts for the settings as they are now from the present parts.
Renew = Callable[[Parts], Parts]
BACKLOG = 2048
# File descriptors for other things than client connections, such as files and database connections.
_OTHER_FILES = 200
# With this signal the supervisor replaces a process. Unlike SIGTERM, it leaves idle connections open for a while.
GENTLE_SIGNAL = signal.SIGUSR1
_GENTLE_SECONDS = 3.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_process(
    parts: Parts, listener: socket.socket, *, started: Callable[[], None] = lambda: None, renew: Renew | None = None
) -> None:
    """Serve until the process is told to stop, then finish the running requests, for at most the drain time.

    `started` is called as soon as clients can connect. A second signal ends the process at once. `renew` makes the parts
    that replace the present ones when SIGHUP arrives.
    """
    gc.enable()
    limits = _limits(parts)
    parts.start_threads()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        parts = runner.run(_serve(parts, limits, listener, started, renew))
    parts.close()


def _limits(parts: Parts) -> Limits:
    """The limits of the config, as far as the system allows them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = parts.config.max_connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    connections = parts.config.max_connections
    if soft != resource.RLIM_INFINITY:
        connections = max(1, min(connections, soft - _OTHER_FILES))
    return Limits(requests=parts.config.max_requests, connections=connections)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


async def _serve(
    parts: Parts, limits: Limits, listener: socket.socket, started: Callable[[], None], renew: Renew | None
) -> Parts:
    """Returns the parts in use at the end."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_failure)
    stopping = _Stopping(loop)
    config = parts.config
    gate = Gate(parts.app, limits, threads=config.worker_threads, health=parts.health, prefix=config.path_prefix or "")
    server = await loop.create_server(lambda: Connection(gate), sock=listener, backlog=BACKLOG)
    renewal = _Renewal(parts, gate, renew)
    watches = [loop.create_task(gate.watch(renewal.measure))]
    if parts.metrics is not None:
        # Also while the last requests are finished.
        watches.append(loop.create_task(answer_metrics(parts.metrics, renewal.add_metrics_gate)))
    if renew is not None:
        loop.add_signal_handler(signal.SIGHUP, lambda: watches.append(loop.create_task(renewal.renew())))
    started()
    await stopping.wanted.wait()
    server.close()
    if stopping.gently:
        # Clients that send another request on their connection get its answer, and then open a new connection.
        gate.stopping = True
        await asyncio.sleep(_GENTLE_SECONDS)
    gate.stop()
    with suppress(TimeoutError):
        async with asyncio.timeout(config.drain_seconds):
            await _until_idle(gate, stopping)
    gate.abort()
    for watch in watches:
        watch.cancel()
    return renewal.parts


def _log_failure(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # The text of the library may hold bytes of a request.
    _log.error("a callback of the event loop failed", exc_info=context.get("exception"))


class _Renewal:
    """The parts in use, and how they are replaced while requests are answered."""

    def __init__(self, parts: Parts, gate: Gate, renew: Renew | None) -> None:
        self.parts = parts
        self._metrics_gate: Gate | None = None
        self._gate = gate
        self._renew = renew
        self._lock = asyncio.Lock()

    def add_metrics_gate(self, gate: Gate) -> None:
        self._metrics_gate = gate

    def measure(self) -> None:
        self._gate.measure()
        self.parts.measure()

    async def renew(self) -> None:
        """Replace the parts. When the new settings cannot be used, the present parts stay."""
        async with self._lock:
            parts = await asyncio.to_thread(renewed_or_none, self.parts, self._renew)
            if parts is None:
                return
            self._gate.replace_app(parts.app)
            if self._metrics_gate is not None and parts.metrics is not None:
                self._metrics_gate.replace_app(parts.metrics.app)
            self.parts.hand_over(parts)
            self.parts = parts


def renewed_or_none(parts: Parts, renew: Renew | None) -> Parts | None:
    """The parts for the settings as they are now; None, after a line in the log, when these cannot be used."""
    try:
        new = renew(parts) if renew else None
    except Exception as error:
        _log.error("reload_failed", extra={"reason": reload_failure(error)})
        return None
    if new is not None:
        logging.getLogger().setLevel(new.config.log_level)
        _log.warning("reloaded")
    return new


def reload_failure(error: Exception) -> str:
    """The reason why the settings cannot be used, for the operator. Messages of other libraries are left out."""
    return error.message if isinstance(error, ConfigError) else type(error).__name__


async def _until_idle(gate: Gate, stopping: _Stopping) -> None:
    while not (gate.is_idle() or stopping.at_once):
        await asyncio.sleep(0.02)


class _Stopping:
    """Whether the process must stop: it was told to, or its parent process has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.wanted = asyncio.Event()
        self.at_once = False
        self.gently = False
        parent = multiprocessing.parent_process()
        if parent is None:
            for number in STOP_SIGNALS:
                loop.add_signal_handler(number, self._ask)
            return
        # Ctrl-C in a terminal signals every process. Only the parent reacts to it, and tells this process to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.add_signal_handler(signal.SIGTERM, self._ask)
        loop.add_signal_handler(GENTLE_SIGNAL, self._ask_gently)
        loop.add_reader(parent.sentinel, self._leave)

    def _ask_gently(self) -> None:
        self.gently = True
        self.wanted.set()

    def _ask(self) -> None:
        self.at_once = self.wanted.is_set()
        self.wanted.set()

    @staticmethod
    def _leave() -> None:
        # The parent has ended, so no process would be replaced. The port must become free for a new server.
        shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
        os._exit(1)
