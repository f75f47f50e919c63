"""What the server answers beside the operations: health, metrics, the documents and a page to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

import flask
import orjson

from clinic_service.api import metrics
from clinic_service.api.compression import encode
from clinic_service.api.exchange import Exchange, RawAnswer, json_answer
from clinic_service.db.readiness import Readiness
from clinic_service.specification.apis import Api

Page = Callable[[Exchange], RawAnswer]
LIVE, READY = "/live", "/ready"
# A server that has asked the database already puts the result here, so that no thread waits for the database.
READY_KEY = "clinic_service.ready"

# Everything comes from this server; the page sets some styles in attributes and shows small pictures of its own.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_ASSETS = {
    "/docs": "docs.html",
    "/docs/docs.js": "docs.js",
    "/docs/swagger-ui/swagger-ui.css": "swagger-ui/swagger-ui.css",
    "/docs/swagger-ui/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
    "/docs/swagger-ui/swagger-ui-standalone-preset.js": "swagger-ui/swagger-ui-standalone-preset.js",
}


def add_pages(app: flask.Flask, apis: list[Api], readiness: Readiness, *, prefix: str = "") -> None:
    """Add the fixed addresses to `app`, which stands under the path `prefix`."""
    pages: dict[str, Page] = {
        "/": lambda _: RawAnswer(307, headers=[("Location", f"{prefix}/docs")]),
        LIVE: lambda _: _health(ok=True),
        READY: lambda exchange: _health(ok=_is_ready(exchange, readiness)),
        "/metrics": lambda _: RawAnswer(200, metrics.exposition(), [("Content-Type", metrics.CONTENT_TYPE)]),
        **{address: _asset(name) for address, name in _ASSETS.items()},
        **{f"/openapi/{api.name}.json": _document(api.document, prefix) for api in apis},
    }
    for address, page in pages.items():
        app.add_url_rule(address, address, page, methods=["GET"], provide_automatic_options=False)


def _health(*, ok: bool) -> RawAnswer:
    status, word = (200, "ok") if ok else (503, "unavailable")
    return json_answer(status, orjson.dumps({"status": word}), [("Cache-Control", "no-store")])


def _is_ready(exchange: Exchange, readiness: Readiness) -> bool:
    known: bool | None = exchange.environ.get(READY_KEY)
    return readiness.obstacle() is None if known is None else known


def _document(document: Mapping[str, object], prefix: str) -> Page:
    servers = [{"url": prefix or "/", "description": "The server that serves this document."}]
    text = orjson.dumps({**document, "servers": servers})
    return _same_for_all(lambda: text, [("Content-Type", "application/json")])


def _asset(name: str) -> Page:
    media_type = _TYPES[name.rsplit(".", 1)[-1]]
    headers = [("Content-Type", f"{media_type}; charset=utf-8"), ("Content-Security-Policy", _POLICY)]
    return _same_for_all((files("clinic_service.api") / "assets" / name).read_bytes, headers)


def _same_for_all(read: Callable[[], bytes], headers: list[tuple[str, str]]) -> Page:
    """A page that is read and compressed once, because anybody may ask for it as often as they like."""
    body = cache(read)
    encoded = cache(lambda encoding: encode(body(), encoding))
    return lambda _: RawAnswer(200, body(), headers, encoded=encoded)
