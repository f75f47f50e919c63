"""Several server processes: forked when everything is built, replaced when they die, and stopped together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from clinic_service.metrics.counters import forget_process
from clinic_service.server.parts import Parts
from clinic_service.server.process import BACKLOG, STOP_SIGNALS, run_process

_log = logging.getLogger(__name__)

# The pause before a dead process is replaced, so that processes that cannot start do not keep the machine busy.
_PAUSE_SECONDS = 0.5
# Added to the drain time, for the time between the last answer of a process and its end.
_EXTRA_SECONDS = 2.0


def run_processes(parts: Parts, listener: socket.socket, *, started: Callable[[], None]) -> None:
    """Serve with `config.workers` processes until this process is told to stop. A second signal kills them."""
    listener.listen(BACKLOG)
    if parts.metrics is not None:
        parts.metrics.listener.listen()
    stop = _stop_signals()
    processes = [_start(parts, listener) for _ in range(parts.config.workers)]
    started()
    while stop not in wait([stop, *(process.sentinel for process in processes)]):
        _replace_dead(parts, listener, processes)
    os.read(stop, 1)
    listener.close()
    _end(processes, stop, parts.config.drain_seconds + _EXTRA_SECONDS)


def _stop_signals() -> int:
    """A file descriptor from which a byte can be read for each signal that asks this process to stop."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os.write(writable, b"x"))
    return readable


def _start(parts: Parts, listener: socket.socket) -> ForkProcess:
    process = multiprocessing.get_context("fork").Process(target=_run, args=(parts, listener), name="clinic-service")
    process.start()
    return process


def _run(parts: Parts, listener: socket.socket) -> None:
    # Before the event loop handles the signals, the process has no requests, and SIGTERM ends it at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_process(parts, listener)


def _replace_dead(parts: Parts, listener: socket.socket, processes: list[ForkProcess]) -> None:
    dead = [position for position, process in enumerate(processes) if process.exitcode is not None]
    for position in dead:
        _log.error("a server process ended and is replaced", extra={"status": processes[position].exitcode})
    if dead:
        time.sleep(_PAUSE_SECONDS)
    for position in dead:
        forget_process(processes[position].pid)
        processes[position] = _start(parts, listener)


def _end(processes: list[ForkProcess], stop: int, seconds: float) -> None:
    """Ask all processes to stop. Kill those that are left after `seconds`, or at a second signal."""
    for process in processes:
        process.terminate()
    end = time.monotonic() + seconds
    living = list(processes)
    while living and time.monotonic() < end:
        ready = wait([stop, *(process.sentinel for process in living)], max(0.0, end - time.monotonic()))
        if stop in ready:
            break
        living = [process for process in living if process.exitcode is None]
    for process in living:
        process.kill()
    for process in processes:
        process.join()
