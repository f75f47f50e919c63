"""What a server process is made of: the application, the log, and the threads beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from clinic_service.api.log import RequestLog
from clinic_service.api.metrics import count_lost_lines
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database, open_database
from clinic_service.db.readiness import Readiness
from clinic_service.log_lines import LinesHandler, LogLines
from clinic_service.outbox.relay import Relay
from clinic_service.packaged import edited_spec_folder
from clinic_service.relays import create_relay
from clinic_service.reloading import ReloadingApp, builder
from clinic_service.server.gate import Application
from clinic_service.specification.apis import Api


@dataclass(frozen=True)
class Parts:
    """Made once, before the server processes are forked, which share its memory: nothing in it has connected yet."""

    config: Config
    database: Database
    app: Application
    relay: Relay
    lines: LogLines
    readiness: Readiness
    stop: threading.Event = field(default_factory=threading.Event)

    def is_ready(self) -> bool:
        """Whether the database can be used."""
        return self.readiness.obstacle() is None

    def start_threads(self) -> None:
        """Start what works beside the requests of this process: the log, the relay and the watch over the spec."""
        self.lines.start()
        logging.basicConfig(level=self.config.log_level, handlers=[LinesHandler(self.lines)], force=True)
        _start_thread("outbox-relay", partial(self.relay.run, self.stop))
        if isinstance(self.app, ReloadingApp):
            _start_thread("spec-watch", self.app.watch)

    def close(self) -> None:
        """Stop the threads; what they are doing is taken up again by another process, or after the next start."""
        self.stop.set()
        self.database.dispose()
        self.lines.close()


def build(config: Config, apis: list[Api] | None = None, *, reload: bool = False) -> Parts:
    """Put the parts together; `apis` when they have been loaded already.

    Raises SpecError, PlanError or ConfigError when there is nothing to serve.
    """
    database = open_database(config)
    lines = LogLines(count_lost_lines)
    relay = create_relay(config, database)

    if reload:
        app: Application = ReloadingApp(edited_spec_folder(), builder(config, database, lines.write))
    else:
        app = create_app(config, database, apis=apis, log=RequestLog(write=lines.write))
    return Parts(config, database, app, relay, lines, Readiness(database))


def _start_thread(name: str, target: Callable[[], None]) -> None:
    threading.Thread(target=target, name=name, daemon=True).start()
