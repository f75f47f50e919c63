"""Taking edits of the spec while the server runs, for spec editors (`serve --reload`)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinic_service.api.exchange import RawAnswer
from clinic_service.api.parameters import PlanError
from clinic_service.api.routing import LeanFlask
from clinic_service.errors import ServiceError
from clinic_service.specification.source import SpecError

_POLL_SECONDS = 0.3


class ReloadingApp:
    """Serves the spec under a folder as it was when it last made sense; looks for edits a few times a second."""

    def __init__(self, folder: Path, build: Callable[[Path], LeanFlask]) -> None:
        self._folder, self._build = folder, build
        self._app = build(folder)
        self._seen = self._stamp()

    def admit(self, environ: dict[str, Any]) -> RawAnswer | int:
        return self._app.admit(environ)

    def answer(self, environ: dict[str, Any]) -> RawAnswer:
        return self._app.answer(environ)

    def refuse(self, refusal: ServiceError, environ: dict[str, Any]) -> RawAnswer:
        return self._app.refuse(refusal, environ)

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
