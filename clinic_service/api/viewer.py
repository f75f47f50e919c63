"""The files of a viewer of PDF documents, which an operator may put beside the server: they show reports in a frame.

Those that are there at the start are served, and nothing else, so that no address leads out of their folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import flask

from clinic_service.api.exchange import Exchange, RawAnswer
from clinic_service.config import Config, ConfigError
from clinic_service.errors import NotFound
from clinic_service.resources.ehr.xealth.viewer import VIEWER_FILES, VIEWER_PAGE

_TEXT = {
    ".css": "text/css",
    ".ftl": "text/plain",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
}
_OTHER = {".gif": "image/gif", ".png": "image/png", ".svg": "image/svg+xml", ".wasm": "application/wasm"}
# The ending of templates from which other servers make pages. They are not served.
_TEMPLATE = ".tmpl"


def add_viewer(app: flask.Flask, config: Config) -> None:
    """Serve the files of the configured viewer, if there is one. Raises ConfigError for a folder without its page."""
    if not config.xealth_viewer_directory:
        return
    files = dict(_find_files(Path(config.xealth_viewer_directory)))
    if VIEWER_PAGE not in files:
        raise ConfigError(f"CLINIC_XEALTH_VIEWER_DIRECTORY must be a folder that holds {VIEWER_PAGE}.")

    def view(_exchange: Exchange, name: str) -> RawAnswer:
        file = files.get(name)
        if file is None or not file.is_file():
            raise NotFound
        return RawAnswer(200, file.read_bytes(), _headers(file))

    rule = f"{VIEWER_FILES}/<path:name>"
    app.add_url_rule(rule, rule, view, methods=["GET"], provide_automatic_options=False)


def _find_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of the folder by their addresses in it; links that lead out of it are left out."""
    root = folder.resolve()
    for file in folder.rglob("*"):
        is_inside = file.is_file() and file.resolve().is_relative_to(root)
        if is_inside and file.suffix != _TEMPLATE:
            yield file.relative_to(folder).as_posix(), file


def _headers(file: Path) -> list[tuple[str, str]]:
    text = _TEXT.get(file.suffix)
    media_type = f"{text}; charset=utf-8" if text else _OTHER.get(file.suffix, "application/octet-stream")
    # The address of the page holds the token of the report.
    caching = "no-store" if file.suffix == ".html" else "private, max-age=3600"
    return [("Content-Type", media_type), ("Cache-Control", caching), ("Referrer-Policy", "no-referrer")]
