"""Several server processes: forked when everything is built, replaced when they die, and stopped together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from clinic_service.metrics.counters import forget_process
from clinic_service.server.parts import Parts
from clinic_service.server.process import BACKLOG, GENTLE_SIGNAL, STOP_SIGNALS, Renew, renewed_or_none, run_process

_log = logging.getLogger(__name__)

# The pause before a dead process is replaced, so that processes that cannot start do not keep the machine busy.
_PAUSE_SECONDS = 0.5
# Added to the drain time, for the time between the last answer of a process and its end.
_EXTRA_SECONDS = 2.0
# The time in which a new process must answer requests.
_START_SECONDS = 30.0
_RELOAD = b"h"


def run_processes(
    parts: Parts, listener: socket.socket, *, started: Callable[[], None], renew: Renew | None = None
) -> None:
    """Serve with `config.workers` processes until this process is told to stop. A second signal kills them.

    When SIGHUP arrives, `renew` makes new parts, and the processes are replaced one after the other.
    """
    listener.listen(BACKLOG)
    if parts.metrics is not None:
        parts.metrics.listener.listen()
    signals = _signals()
    processes = [_start(parts, listener) for _ in range(parts.config.workers)]
    leaving: list[ForkProcess] = []
    started()
    while True:
        if signals in wait([signals, *(process.sentinel for process in (*processes, *leaving))]):
            if os.read(signals, 1) != _RELOAD:
                break
            parts = renewed_or_none(parts, renew) or parts
            _replace_all(parts, listener, processes, leaving)
        _replace_dead(parts, listener, processes)
        _forget_gone(leaving)
    listener.close()
    _end([*processes, *leaving], signals, parts.config.drain_seconds + _EXTRA_SECONDS)


def _signals() -> int:
    """A file descriptor from which a byte can be read for each signal: `_RELOAD` for SIGHUP, another one to stop."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os.write(writable, b"x"))
    signal.signal(signal.SIGHUP, lambda *_: os.write(writable, _RELOAD))
    return readable


def _start(parts: Parts, listener: socket.socket, started: Callable[[], None] = lambda: None) -> ForkProcess:
    arguments = (parts, listener, started)
    process = multiprocessing.get_context("fork").Process(target=_run, args=arguments, name="clinic-service")
    process.start()
    return process


def _run(parts: Parts, listener: socket.socket, started: Callable[[], None]) -> None:
    # Before the event loop handles the signals, the process has no requests, and SIGTERM ends it at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        run_process(parts, listener, started=started)
    except Exception:
        # Otherwise the traceback would be written as plain text.
        _log.critical("a server process failed", exc_info=True)
        sys.exit(1)


def _replace_all(
    parts: Parts, listener: socket.socket, processes: list[ForkProcess], leaving: list[ForkProcess]
) -> None:
    """Replace one process after the other. Each goes when its successor answers requests, so nobody is refused."""
    for position, old in enumerate(processes):
        serving = multiprocessing.get_context("fork").Event()
        new = _start(parts, listener, serving.set)
        if not serving.wait(_START_SECONDS):
            _log.error("a new server process does not start, so the old ones stay")
            new.kill()
            new.join()
            return
        processes[position] = new
        leaving.append(old)
        if old.pid is not None and old.exitcode is None:
            os.kill(old.pid, GENTLE_SIGNAL)


def _forget_gone(leaving: list[ForkProcess]) -> None:
    for process in [process for process in leaving if process.exitcode is not None]:
        forget_process(process.pid)
        leaving.remove(process)


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
