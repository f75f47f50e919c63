"""One server process: runs the event loop until the process is told to stop."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import resource
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from clinic_service.server.connection import Connection
from clinic_service.server.gate import Gate
from clinic_service.server.limits import Limits
from clinic_service.server.parts import MetricsPort, Parts

BACKLOG = 2048
# File descriptors for other things than client connections, such as files and database connections.
_OTHER_FILES = 200
_METRICS_REQUESTS, _METRICS_CONNECTIONS = 16, 32
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_process(parts: Parts, listener: socket.socket, *, started: Callable[[], None] = lambda: None) -> None:
    """Serve until the process is told to stop, then finish the running requests, for at most the drain time.

    `started` is called as soon as clients can connect. A second signal ends the process at once.
    """
    gc.enable()
    limits = _limits(parts)
    parts.start_threads()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(parts, limits, listener, started))
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


async def _serve(parts: Parts, limits: Limits, listener: socket.socket, started: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stopping = _Stopping(loop)
    config = parts.config
    gate = Gate(
        parts.app, limits, threads=config.worker_threads, is_ready=parts.is_ready, prefix=config.path_prefix or ""
    )
    server = await loop.create_server(lambda: Connection(gate), sock=listener, backlog=BACKLOG)
    watches = [loop.create_task(gate.watch(lambda: _measure(gate, parts)))]
    if parts.metrics is not None:
        watches.append(loop.create_task(_serve_metrics(parts.metrics)))
    started()
    await stopping.wanted.wait()
    server.close()
    gate.stop()
    with suppress(TimeoutError):
        async with asyncio.timeout(config.drain_seconds):
            await _until_idle(gate, stopping)
    gate.abort()
    for watch in watches:
        watch.cancel()


def _measure(gate: Gate, parts: Parts) -> None:
    gate.measure()
    parts.measure()


async def _serve_metrics(metrics: MetricsPort) -> None:
    """Answer on the port for metrics until this task is canceled, so also while the last requests are finished."""
    gate = Gate(metrics.app, Limits(requests=_METRICS_REQUESTS, connections=_METRICS_CONNECTIONS), threads=1)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(gate), sock=metrics.listener)
    try:
        await gate.watch()
    finally:
        server.close()
        gate.abort()


async def _until_idle(gate: Gate, stopping: _Stopping) -> None:
    while not (gate.is_idle() or stopping.at_once):
        await asyncio.sleep(0.02)


class _Stopping:
    """Whether the process must stop: it was told to, or its parent process has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.wanted = asyncio.Event()
        self.at_once = False
        parent = multiprocessing.parent_process()
        if parent is None:
            for number in STOP_SIGNALS:
                loop.add_signal_handler(number, self._ask)
            return
        # Ctrl-C in a terminal signals every process. Only the parent reacts to it, and tells this process to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.add_signal_handler(signal.SIGTERM, self._ask)
        loop.add_reader(parent.sentinel, self._leave)

    def _ask(self) -> None:
        self.at_once = self.wanted.is_set()
        self.wanted.set()

    @staticmethod
    def _leave() -> None:
        # The parent has ended, so no process would be replaced. The port must become free for a new server.
        shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
        os._exit(1)
