"""Every metric that is counted while the server works, for Prometheus. Their help texts are their documentation.

No label holds an id, an address or another value of a request: each has a few values, which the spec, the settings or the
code give. What is read only when somebody asks for the metrics is in `collectors.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from clinic_service.errors import ServiceError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# The label of requests that no operation and no page answers.
NOTHING = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)

_REGISTRY = CollectorRegistry()


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(name, meaning, labels, registry=_REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    # With several processes: the sum of those that live.
    return Gauge(name, meaning, labels, registry=_REGISTRY, multiprocess_mode="livesum")


def _histogram(name: str, meaning: str, *labels: str) -> Histogram:
    return Histogram(name, meaning, labels, buckets=_SECONDS, registry=_REGISTRY)


_REQUESTS = _counter(
    "clinic_requests_total",
    "Answered requests, by operationId or address of the page; 'none' for an unknown address or an unreadable request.",
    *("operation", "method", "status"),
)
_REQUEST_SECONDS = _histogram(
    "clinic_request_seconds", "Time from the last byte read to the answer, in seconds.", "operation", "method"
)
_REFUSED = _counter(
    "clinic_refused_requests_total", "Requests that the server refused before any operation saw them.", "status"
)
_REFUSALS = _counter(
    "clinic_refusals_total",
    "Refusals by kind of error and by the rule that was broken: rules of x-access, or keywords of the schema. "
    "A request that breaks several rules counts for each.",
    *("error", "rule"),
)
_BROKEN_ANSWERS = _counter("clinic_broken_answers_total", "Answers that did not fit the spec.", "operation")
_DEFECTS = _counter("clinic_defects_total", "Requests that failed because of a defect of the server.", "operation")
_CLOSED = _counter(
    "clinic_closed_connections_total", "Connections that the server closed because of the client.", "reason"
)
_LOST_LINES = _counter("clinic_lost_log_lines_total", "Log lines that could not be written.")
_IN_PROGRESS = _gauge("clinic_requests_in_progress", "Requests that are worked on, or wait for a thread.", "state")
_CONNECTIONS = _gauge("clinic_connections", "Open connections of clients.")
_BUFFERED = _gauge("clinic_buffered_bytes", "Bytes of requests and answers in memory for clients.")
_LOOP_DELAY = _histogram(
    "clinic_event_loop_delay_seconds", "How much later than planned the event loop did its regular work, in seconds."
)
_POOL_USED = _gauge("clinic_database_connections_used", "Database connections that are in use.", "pool")
_POOL_SIZE = _gauge("clinic_database_connections_limit", "Database connections that may be in use.", "pool")
_POOL_WAITS = _histogram(
    "clinic_database_pool_wait_seconds", "Time that work waited for a free database connection, in seconds.", "pool"
)
_RETRIES = _counter("clinic_transaction_retries_total", "Transactions that were run again after a conflict or a loss.")
_DELIVERIES = _counter(
    "clinic_outbox_deliveries_total",
    "Attempts to deliver events of the outbox, by kind and outcome.",
    "kind",
    "outcome",
)
_REMOTE_CALLS = _counter(
    "clinic_remote_calls_total",
    "Calls of other services, by outcome: answered, failed, or refused by the open circuit breaker.",
    *("service", "outcome"),
)
_OPEN_BREAKERS = _gauge("clinic_open_circuit_breakers", "Circuit breakers of other services that are open.", "service")


class Metrics:
    """Counts requests. The children of a metric are kept, since looking one up costs more than counting."""

    def __init__(self) -> None:
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, operation: str | None, method: str, status: int, seconds: float) -> None:
        """Count one answered request. `operation`: an operationId, the address of a page, or None."""
        key = (operation or NOTHING, method, status)
        children = self._children.get(key)
        if children is None:
            children = self._add_children(*key)
        children[0].inc()
        children[1].observe(seconds)

    def _add_children(self, operation: str, method: str, status: int) -> tuple[Counter, Histogram]:
        if method not in _METHODS:
            # Clients may send any word, so such a request gets no children of its own.
            return _request_children(operation, "other", status)
        children = self._children[operation, method, status] = _request_children(operation, method, status)
        return children


def _request_children(operation: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(operation, method, str(status)), _REQUEST_SECONDS.labels(operation, method)


def count_refused(status: int) -> None:
    """Count a request that was refused before any operation saw it."""
    _REFUSED.labels(str(status)).inc()


def count_refusal(error: Exception) -> None:
    """Count a request that was refused with `error`."""
    rules = {violation.rule for violation in error.violations} if isinstance(error, ServiceError) else set()
    for rule in rules or {getattr(error, "rule", "")}:
        _REFUSALS.labels(type(error).__name__, rule).inc()


def count_broken_answer(operation_id: str) -> None:
    """Count an answer that does not fit the spec."""
    _BROKEN_ANSWERS.labels(operation_id).inc()


def count_defect(operation_id: str | None) -> None:
    """Count a request that failed because of a defect."""
    _DEFECTS.labels(operation_id or NOTHING).inc()


def count_closed(reason: str) -> None:
    """Count a connection that was closed for `reason`, one of a few fixed words."""
    _CLOSED.labels(reason).inc()


def count_lost_lines(lines: int = 1) -> None:
    """Count log lines that could not be written."""
    _LOST_LINES.inc(lines)


def set_load(*, running: int, waiting: int, connections: int, buffered: int) -> None:
    """Set what this process works on now: numbers of requests and connections, and bytes in memory."""
    _IN_PROGRESS.labels("running").set(running)
    _IN_PROGRESS.labels("waiting").set(waiting)
    _CONNECTIONS.set(connections)
    _BUFFERED.set(buffered)


def observe_loop_delay(seconds: float) -> None:
    """Observe how much later than planned the event loop did its regular work."""
    _LOOP_DELAY.observe(max(0.0, seconds))


def set_pool_use(pool: str, used: int, limit: int) -> None:
    """Set how many database connections of this process are in use, and how many may be."""
    _POOL_USED.labels(pool).set(used)
    _POOL_SIZE.labels(pool).set(limit)


def observe_pool_wait(pool: str, seconds: float) -> None:
    """Observe how long work waited for a free database connection."""
    _POOL_WAITS.labels(pool).observe(seconds)


def count_retry() -> None:
    """Count a transaction that is run again."""
    _RETRIES.inc()


def count_delivery(kind: str, outcome: str, number: int = 1) -> None:
    """Count attempts to deliver events of one kind; the outcome is `delivered` or `failed`."""
    _DELIVERIES.labels(kind, outcome).inc(number)


def count_remote_call(service: str, outcome: str) -> None:
    """Count a call of another service; the outcome is `answered`, `failed` or `refused`."""
    _REMOTE_CALLS.labels(service, outcome).inc()


def change_open_breakers(service: str, number: int) -> None:
    """Add `number` to the open circuit breakers of a service."""
    _OPEN_BREAKERS.labels(service).inc(number)


def forget_process(pid: int | None) -> None:
    """Remove the gauges of a server process that has ended. What it counted stays."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ and pid is not None:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped


def exposition(collectors: Iterable[Collector] = ()) -> bytes:
    """All metrics as Prometheus text, with those of every process when `serve` runs several, and of `collectors`."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
    else:
        registry.register(_REGISTRY)
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)
