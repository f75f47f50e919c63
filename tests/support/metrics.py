"""Reads metrics as Prometheus reads them."""

from __future__ import annotations

import http.client
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from clinic_service.metrics.counters import exposition

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(collectors: Iterable[Collector] = ()) -> Samples:
    """Every sample by its name and labels."""
    return parsed(exposition(collectors).decode())


def parsed(text: str) -> Samples:
    """Every sample of `text` by its name and labels."""
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def metric(name: str, **labels: str) -> float:
    """The present value of a metric of this process; 0 when it has none yet."""
    return samples().get((name, frozenset(labels.items())), 0)


def get(port: int, path: str) -> tuple[int, str]:
    """The status and the text of the answer on the port for metrics of a server or a relay."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
