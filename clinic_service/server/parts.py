"""The parts of a server process: the application, the log, and the background threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from clinic_service.api.log import RequestLog
from clinic_service.app import create_app
from clinic_service.audit.choice import chosen_log, require_writable
from clinic_service.audit.log import AuditLog
from clinic_service.audit.sealing import Sealer
from clinic_service.config import Config
from clinic_service.db.engine import Database, open_database
from clinic_service.db.readiness import Health, Readiness
from clinic_service.log_lines import LinesHandler, LogLines, log_as_json
from clinic_service.metrics.counters import count_lost_lines
from clinic_service.packaged import edited_spec_folder
from clinic_service.relays import Background, create_relays, create_sealers, start_relays
from clinic_service.reloading import ReloadingApp, builder, spec_check
from clinic_service.retention import Retention
from clinic_service.server.gate import Application
from clinic_service.server.metrics_port import MetricsPort, create_metrics_port
from clinic_service.specification.apis import Api

# The settings with which the sockets, the database, the logs and the processes were made.
_KEPT_UNTIL_RESTART = (
    *("host", "port", "metrics_host", "metrics_port", "path_prefix", "workers", "threads", "max_requests"),
    *("max_connections", "database_url", "sqlite_synchronous", "drain_seconds", "audit", "audit_folder"),
)


@dataclass(frozen=True)
class Parts:
    """Built once, before the server processes are forked, which share its memory. No part has connected to anything yet."""

    config: Config
    app: Application
    lines: LogLines
    metrics: MetricsPort | None = field(default=None, kw_only=True)

    def health(self) -> Health:
        """Whether requests can be answered now."""
        return Health.OK

    def measure(self) -> None:
        """Set the metrics of this process to those of this moment."""

    def start_threads(self) -> None:
        """Start what works beside the requests of this process: the log, and the watch over the spec."""
        self.lines.start()
        log_as_json(self.config.log_level, LinesHandler(self.lines))
        if isinstance(self.app, ReloadingApp):
            _start_thread("spec-watch", self.app.watch)

    def hand_over(self, parts: Parts) -> None:
        """Let `parts`, which were made from these, take over what works beside the requests."""

    def close(self) -> None:
        """Stop the threads."""
        self.lines.close()


@dataclass(frozen=True)
class ServiceParts(Parts):
    """The parts of the service itself, which has a database and an outbox."""

    database: Database
    relays: Sequence[Background]
    audit_log: AuditLog | None
    readiness: Readiness
    stop: threading.Event = field(default_factory=threading.Event)

    def health(self) -> Health:
        """Whether the database can be used and requests can be recorded."""
        return self.readiness.health()

    def measure(self) -> None:
        """Set the metrics of the database connections to those of this moment."""
        self.database.measure()

    def start_threads(self) -> None:
        """Start the relays as well."""
        super().start_threads()
        self.start_relays()

    def start_relays(self) -> None:
        """Start to deliver the events of the outbox."""
        start_relays(self.relays, self.stop)

    def hand_over(self, parts: Parts) -> None:
        """Stop the relays, and start those of `parts`. Events that are being delivered are claimed, so none is repeated."""
        self.stop.set()
        if isinstance(parts, ServiceParts):
            parts.start_relays()

    def renewed(self, config: Config) -> ServiceParts:
        """The parts for changed settings, with the database, the logs and the sockets of these.

        The settings about those keep their values until a restart. Raises what `build` raises.
        """
        kept = {name: getattr(self.config, name) for name in _KEPT_UNTIL_RESTART}
        listener = self.metrics.listener if self.metrics is not None else None
        return _assemble(replace(config, **kept), self.database, self.lines, self.audit_log, metrics_listener=listener)

    def close(self) -> None:
        """Stop the threads. Another process, or the next start, continues their work."""
        self.stop.set()
        for relay in self.relays:
            if isinstance(relay, Sealer):
                relay.finish()
        if self.audit_log:
            self.audit_log.close()
        self.database.dispose()
        super().close()


def build(
    config: Config,
    apis: list[Api] | None = None,
    *,
    reload: bool = False,
    metrics_listener: socket.socket | None = None,
) -> ServiceParts:
    """Build the parts. `apis` are the APIs of the spec, when they have been loaded already.

    Raises SpecError, PlanError or ConfigError for a bad spec, handler or configuration.
    """
    audit_log = chosen_log(config, config.database_url)
    if audit_log:
        require_writable(audit_log)
    lines, database = LogLines(count_lost_lines), open_database(config)
    return _assemble(config, database, lines, audit_log, apis, reload=reload, metrics_listener=metrics_listener)


def _assemble(
    config: Config,
    database: Database,
    lines: LogLines,
    audit_log: AuditLog | None,
    apis: list[Api] | None = None,
    *,
    reload: bool = False,
    metrics_listener: socket.socket | None = None,
) -> ServiceParts:
    relays: list[Background] = [
        *create_relays(config, database),
        *create_sealers(config, database, audit_log),
        Retention(database, config),
    ]
    if reload:
        spec = edited_spec_folder()
        check = spec_check("--folder", str(spec))
        app: Application = ReloadingApp(spec, builder(config, database, lines.write, audit_log), check=check)
    else:
        app = create_app(config, database, apis=apis, log=RequestLog(write=lines.write), audit_log=audit_log)
    metrics = None
    if metrics_listener is not None:
        metrics = create_metrics_port(config, database, metrics_listener, RequestLog(write=lines.write))
    readiness = Readiness(database, audit_log.obstacle if audit_log else None)
    return ServiceParts(config, app, lines, database, relays, audit_log, readiness, metrics=metrics)


def _start_thread(name: str, target: Callable[[], None]) -> None:
    threading.Thread(target=target, name=name, daemon=True).start()
