"""The page /metrics. It shows how the service is used, so other machines need a separate port or a token to read it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from prometheus_client.registry import Collector

from clinic_service.api.exchange import Exchange, RawAnswer
from clinic_service.api.log import RequestLog
from clinic_service.api.routing import LeanFlask
from clinic_service.config import Config
from clinic_service.errors import NotFound, Unauthenticated
from clinic_service.metrics.counters import CONTENT_TYPE, Metrics, exposition

_ADDRESS = "/metrics"


class MetricsClosed(NotFound):
    """The metrics have a port of their own, or other machines can reach this one and there is no token."""

    message = "Metrics are not shown here: see CLINIC_METRICS_PORT and CLINIC_METRICS_TOKEN."


class MetricsTokenRefused(Unauthenticated):
    """The bearer token is missing or wrong."""

    message = "The token for the metrics is missing or not valid."
    challenge = 'Bearer realm="metrics"'


def add_metrics(app: LeanFlask, config: Config, collectors: Sequence[Collector]) -> None:
    """Add /metrics to the application on the main port.

    The page is there unless the metrics have a port of their own. Without a token it answers only on a loopback address.
    """
    is_guarded = config.metrics_token is not None or _is_loopback(config.host)
    _add(app, config, collectors, is_open=is_guarded and not config.metrics_port)


def create_metrics_app(config: Config, collectors: Sequence[Collector], log: RequestLog) -> LeanFlask:
    """The application on the port for metrics."""
    app = LeanFlask(log, Metrics(), config)
    _add(app, config, collectors, is_open=True)
    return app


def _add(app: LeanFlask, config: Config, collectors: Sequence[Collector], *, is_open: bool) -> None:
    def page(exchange: Exchange) -> RawAnswer:
        if not is_open:
            raise MetricsClosed
        _require_token(config.metrics_token, exchange.environ)
        return RawAnswer(200, exposition(collectors), [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store")])

    app.add_url_rule(_ADDRESS, _ADDRESS, page, methods=["GET"], provide_automatic_options=False)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_token(token: str | None, environ: Mapping[str, Any]) -> None:
    if token is None:
        return
    scheme, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(sent.encode("latin-1"), token.encode()):
        raise MetricsTokenRefused
