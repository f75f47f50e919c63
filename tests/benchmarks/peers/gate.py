"""Serves a WSGI function behind our gate: `python -m tests.benchmarks.peers.gate MODULE:NAME PORT THREADS`."""

from __future__ import annotations

import asyncio
import importlib
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

import uvloop

from clinic_service.api.exchange import RawAnswer
from clinic_service.errors import ServiceError
from clinic_service.server.connection import Connection
from clinic_service.server.gate import Gate
from clinic_service.server.limits import Limits


class WsgiApplication:
    """A WSGI function as the gate calls it."""

    def __init__(self, function: Callable[..., Iterable[bytes]]) -> None:
        self._function = function

    def admit(self, _environ: dict[str, Any]) -> int:
        return Limits().buffered_bytes

    def answer(self, environ: dict[str, Any]) -> RawAnswer:
        answer = RawAnswer(200)

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            answer.status = int(status[:3])
            # The gate adds the length.
            answer.headers = [(name, value) for name, value in headers if name != "Content-Length"]

        answer.body = b"".join(self._function(environ, start_response))
        return answer

    def refuse(self, refusal: ServiceError, _environ: dict[str, Any]) -> RawAnswer:
        return RawAnswer(refusal.status)

    def caller_key(self, _environ: dict[str, Any]) -> str:
        return ""


async def _serve(function: Callable[..., Iterable[bytes]], port: int, threads: int) -> None:
    loop = asyncio.get_running_loop()
    gate = Gate(WsgiApplication(function), Limits(), threads=threads)
    server = await loop.create_server(lambda: Connection(gate), sock=socket.create_server(("127.0.0.1", port)))
    watch = loop.create_task(gate.watch())
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    server.close()
    watch.cancel()
    gate.abort()


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    application = getattr(importlib.import_module(module), name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(application, int(sys.argv[2]), int(sys.argv[3])))
