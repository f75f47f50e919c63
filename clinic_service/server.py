"""What a server process runs: the application, the relay beside it, and, for spec editors, taking edits on save."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinic_service.api.parameters import PlanError
from clinic_service.app import create_app
from clinic_service.config import RELOAD_VARIABLE, Config
from clinic_service.db.engine import Database, open_database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.mail import chosen_mailer
from clinic_service.outbox.relay import Relay
from clinic_service.packaged import spec_folder
from clinic_service.specification.apis import Api, load_apis
from clinic_service.specification.source import SpecError

_POLL_SECONDS = 0.3

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Parts:
    """What a server process needs: nothing in it has connected or started a thread yet."""

    config: Config
    database: Database
    app: WsgiApp


_built: Parts | None = None


def build(apis: list[Api] | None = None) -> Parts:
    """Put the parts together, with the settings of the environment; `apis` when they have been loaded already.

    `serve` does this before the server processes are forked, so that they have all of it at once and share its memory.
    Raises SpecError, PlanError or ConfigError when there is nothing to serve.
    """
    global _built  # noqa: PLW0603 - handed to the forked processes, which call `load`
    config = Config.load()
    database = open_database(config)
    if RELOAD_VARIABLE in os.environ:
        app: WsgiApp = ReloadingApp(spec_folder(), lambda folder: create_app(config, database, apis=load_apis(folder)))
    else:
        app = create_app(config, database, apis=apis)
    _built = Parts(config, database, app)
    return _built


def load() -> WsgiApp:
    """What each server process starts with: the application, and the threads beside it."""
    parts = _built or build()
    config, database, app = parts.config, parts.database, parts.app
    logging.basicConfig(level=config.log_level, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    relay = Relay(database, config, chosen_mailer(config), chosen_accounts(config, database))
    _start_thread("outbox-relay", relay.run, threading.Event())
    if isinstance(app, ReloadingApp):
        _start_thread("spec-watch", app.watch)
    return app


def _start_thread(name: str, target: Callable[..., None], *args: Any) -> None:
    threading.Thread(target=target, args=args, name=name, daemon=True).start()


class ReloadingApp:
    """Serves the spec under a folder as it was when it last made sense; looks for edits a few times a second."""

    def __init__(self, folder: Path, build: Callable[[Path], WsgiApp]) -> None:
        self._folder, self._build = folder, build
        self._app = build(folder)
        self._seen = self._stamp()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def refresh(self) -> None:
        """Take the spec as it is now; keep the one before, and say file and line, when it cannot be served."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._app = self._build(self._folder)
        except (SpecError, PlanError, ValueError) as error:
            print(f"The spec was not taken over: {error}", file=sys.stderr)  # noqa: T201 - meant for the editor's eyes
        else:
            print("The spec was taken over.", file=sys.stderr)  # noqa: T201

    def watch(self) -> None:
        """Call `refresh` for ever."""
        while True:
            time.sleep(_POLL_SECONDS)
            self.refresh()

    def _stamp(self) -> dict[Path, int]:
        stamps = {}
        for file in self._folder.rglob("*.yaml"):
            try:
                stamps[file] = file.stat().st_mtime_ns
            except FileNotFoundError:
                # Editors replace a file by deleting it first.
                continue
        return stamps
