"""`serve --reload`: applies edits of the spec and of the code when they are saved.

While an edit cannot be applied, the server keeps running with the last state that could be applied.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.errors import ServiceError
from clinic_service.packaged import package_folder

_POLL_SECONDS = 0.3
_PACKAGE = "clinic_service"
# Modules that are never reloaded, because they hold what the process has only once: the tables, the open database, the
# settings, the counters. While a server runs they use only each other, so that the others can be imported again.
_KEPT = frozenset(
    {
        "__main__",
        "cli",
        "clock",
        "config",
        "db",
        "deadline",
        "errors",
        "log_lines",
        "metrics.counters",
        "models",
        "packaged",
        "reloading",
        "server",
        "texts",
    }
)

# The application that is served. Each reload makes its class anew, so it has no type that could be named here.
Application = Any
Build = Callable[[Path], Application]
_LONGEST_CHECK_SECONDS = 60


def builder(config: Config, database: Database, write: Callable[[str], None], audit_log: Any = None) -> Build:
    """A function that builds the application for the spec in a folder, from the modules as they are when it is called.

    The application passes the lines of its log to `write`, and records requests in `audit_log`.
    """

    def build(spec: Path) -> Application:
        apis = importlib.import_module(f"{_PACKAGE}.specification.apis").load_apis(spec)
        log = importlib.import_module(f"{_PACKAGE}.api.log").RequestLog(write=write)
        return importlib.import_module(f"{_PACKAGE}.app").create_app(
            config, database, apis=apis, log=log, audit_log=audit_log
        )

    return build


def spec_check(*arguments: str) -> Callable[[], list[str]]:
    """A function that returns the findings of `clinic-service spec check` with these arguments, with file and line.

    The check runs in a process of its own, because it imports modules that a server does not need.
    """

    def findings() -> list[str]:
        command = [sys.executable, "-m", _PACKAGE, "spec", "check", *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_CHECK_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ["The spec could not be checked."]
        return done.stdout.splitlines()

    return findings


class ReloadingApp:
    """The application in its last good state. Passes each call on to it, and looks for edits a few times a second.

    `spec` and `code` are the folders to watch; `build` makes the application. Raises what `build` raises.
    """

    def __init__(
        self,
        spec: Path,
        build: Build,
        code: Path | None = None,
        files: Callable[[], Iterable[Path]] | None = None,
        check: Callable[[], list[str]] = list,
    ) -> None:
        """`files`: those that the spec may be made of, when they are others than the YAML in the folder `spec`.

        `check` returns the findings after each edit of the spec, including findings that do not prevent its use.
        """
        self._spec, self._build, self._code, self._check = spec, build, code or package_folder(), check
        self._files = files or (lambda: spec.rglob("*.yaml"))
        _say(f"The spec is read from {spec}, the code from {self._code}. Saved edits of both are applied.")
        before = self._stamps()
        self._app = build(spec)
        # Which files the spec consists of may be known only now.
        self._seen = {**self._stamps(), **before}

    def admit(self, environ: dict[str, Any]) -> Any:
        """As `LeanFlask.admit`."""
        return self._app.admit(environ)

    def answer(self, environ: dict[str, Any]) -> Any:
        """As `LeanFlask.answer`."""
        return self._app.answer(environ)

    def caller_key(self, environ: dict[str, Any]) -> Any:
        """As `LeanFlask.caller_key`."""
        return self._app.caller_key(environ)

    def refuse(self, refusal: ServiceError, environ: dict[str, Any]) -> Any:
        """As `LeanFlask.refuse`."""
        return self._app.refuse(refusal, environ)

    def refresh(self) -> None:
        """Apply the edits since the last call. If that fails, print file and line, and keep the last good state."""
        stamps = self._stamps()
        changed = {file for file, _ in stamps.items() ^ self._seen.items()}
        if not changed:
            return
        self._seen = stamps
        code = {file for file in changed if file.suffix == ".py"}
        if any(self._is_kept(file) for file in code):
            _say(
                "The code was not applied: restart the server to apply changes of settings, tables, database or server."
            )
            return
        self._take_over("code" if code else "spec")
        self._seen = {**self._stamps(), **stamps}
        if changed != code:
            for finding in self._check():
                _say(finding)

    def watch(self) -> None:
        """Call `refresh` a few times a second. Never returns."""
        # Compiled code would not notice a file that is saved twice within a second.
        sys.dont_write_bytecode = True
        while True:
            time.sleep(_POLL_SECONDS)
            self.refresh()

    def _take_over(self, what: str) -> None:
        try:
            if what == "code":
                with _imported_anew():
                    self._app = self._build(self._spec)
            else:
                self._app = self._build(self._spec)
        except Exception as error:
            # An unfinished edit can fail in any way, and none may end this thread.
            _say(f"The {what} was not applied: {_told(error)}")
        else:
            _say(f"The {what} was applied.")

    def _is_kept(self, file: Path) -> bool:
        parts = file.relative_to(self._code).with_suffix("").parts
        return parts == ("__init__",) or _is_kept(".".join(parts))

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        return {**_stamps(self._files()), **_stamps(self._code.rglob("*.py"))}


@contextmanager
def _imported_anew() -> Iterator[None]:
    """Let the block import the package's modules from their files again. If it fails, the present modules stay."""
    present = {name: module for name, module in sys.modules.items() if _is_reloaded(name)}
    importlib.invalidate_caches()
    _remove(present)
    try:
        yield
    except BaseException:
        _remove([name for name in sys.modules if _is_reloaded(name)])
        sys.modules.update(present)
        raise


def _remove(names: Iterable[str]) -> None:
    for name in names:
        del sys.modules[name]


def _is_reloaded(name: str) -> bool:
    package, _, module = name.partition(".")
    return package == _PACKAGE and bool(module) and not _is_kept(module)


def _is_kept(module: str) -> bool:
    """Whether `module`, a name within the package, or a package around it is in `_KEPT`."""
    return any(module == kept or module.startswith(f"{kept}.") for kept in _KEPT)


def _stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    stamps = {}
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            # Editors replace a file by deleting it first.
            continue
        stamps[file] = facts.st_mtime_ns, facts.st_size
    return stamps


def _told(error: Exception) -> str:
    """The text of `error` for an editor, with file and line. Errors of the spec hold these themselves."""
    text = str(error) or type(error).__name__
    if type(error).__name__ in ("SpecError", "PlanError"):
        return text
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}: {type(error).__name__}: {text}"


def _say(text: str) -> None:
    # Standard error may be closed. The server runs all the same.
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        return
