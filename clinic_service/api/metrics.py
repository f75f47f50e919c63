"""What is counted for Prometheus: requests and their durations, by operationId, method and status. Never an id."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_REGISTRY = CollectorRegistry()
_REQUESTS = Counter(
    "clinic_requests_total", "Answered requests.", ("operation", "method", "status"), registry=_REGISTRY
)
_SECONDS = Histogram(
    "clinic_request_seconds",
    "Time from the last byte read to the answer, in seconds.",
    ("operation", "method"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
    registry=_REGISTRY,
)
_REFUSED = Counter(
    "clinic_refused_requests_total",
    "Requests that the server refused before any operation saw them.",
    ("status",),
    registry=_REGISTRY,
)
_CLOSED = Counter(
    "clinic_closed_connections_total",
    "Connections that the server closed because of the client.",
    ("reason",),
    registry=_REGISTRY,
)
_LOST_LINES = Counter("clinic_lost_log_lines_total", "Log lines that could not be written.", registry=_REGISTRY)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts requests. The children of a metric are kept, since looking one up costs more than counting."""

    def __init__(self) -> None:
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, operation_id: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (operation_id, method, status)
        children = self._children.get(key)
        if children is None:
            children = (_REQUESTS.labels(operation_id, method, str(status)), _SECONDS.labels(operation_id, method))
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)


def count_refused(status: int) -> None:
    """Count a request that was refused before any operation saw it."""
    _REFUSED.labels(str(status)).inc()


def count_closed(reason: str) -> None:
    """Count a connection that was closed for `reason`, one of a few fixed words."""
    _CLOSED.labels(reason).inc()


def count_lost_lines(lines: int = 1) -> None:
    """Count log lines that could not be written."""
    _LOST_LINES.inc(lines)


def exposition() -> bytes:
    """All figures as Prometheus text; those of every process when `serve` runs several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(_REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
    return generate_latest(registry)
