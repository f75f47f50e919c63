"""The port for metrics, which a server has beside that of its requests, and a relay as its only one."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

from clinic_service.api.log import RequestLog
from clinic_service.api.metrics_page import create_metrics_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.metrics.collectors import create_collectors
from clinic_service.server.connection import Connection
from clinic_service.server.gate import Application, Gate
from clinic_service.server.limits import Limits

_log = logging.getLogger(__name__)

_REQUESTS, _CONNECTIONS = 16, 32


class MetricsPort(NamedTuple):
    """The port for metrics: its socket, and the application that answers on it."""

    listener: socket.socket
    app: Application


def create_metrics_port(config: Config, database: Database, listener: socket.socket, log: RequestLog) -> MetricsPort:
    """The port that shows the metrics of this process and of `database` on `listener`."""
    return MetricsPort(listener, create_metrics_app(config, create_collectors(config, database), log))


async def answer_metrics(port: MetricsPort, opened: Callable[[Gate], object] = lambda _: None) -> None:
    """Answer until this task is canceled. `opened` is called with the gate that the requests pass."""
    gate = Gate(port.app, Limits(requests=_REQUESTS, connections=_CONNECTIONS), threads=1)
    opened(gate)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(gate), sock=port.listener)
    try:
        await gate.watch()
    finally:
        server.close()
        gate.abort()


def answer_metrics_in_thread(port: MetricsPort) -> None:
    """Answer until the process ends."""

    def answer() -> None:
        try:
            asyncio.run(answer_metrics(port))
        except Exception:
            _log.exception("the port for metrics failed")

    threading.Thread(target=answer, name="metrics", daemon=True).start()
