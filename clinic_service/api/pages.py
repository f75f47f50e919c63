"""The pages beside the operations: health, the OpenAPI documents, and a page that shows the documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import flask
import orjson

from clinic_service.api.compression import encode
from clinic_service.api.exchange import Exchange, RawAnswer, json_answer
from clinic_service.auth.words import with_access_in_words
from clinic_service.db.readiness import Health
from clinic_service.specification.apis import Api
from clinic_service.specification.formats import FORMATS
from clinic_service.specification.published import published

Page = Callable[[Exchange], RawAnswer]
LIVE, READY = "/live", "/ready"
# A server that has asked the database already puts the result here, so that no thread waits for the database.
READY_KEY = "clinic_service.ready"

# Everything comes from this server. The library of the page adds style elements and attributes, and shows small pictures
# of its own; it needs neither inline scripts nor eval.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DOCUMENT_TYPES = {"json": "application/json", "yaml": "application/yaml"}
_ASSET_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_ASSETS = {
    "/docs": "docs.html",
    "/docs/docs.css": "docs.css",
    "/docs/docs.js": "docs.js",
    "/docs/favicon.svg": "favicon.svg",
    "/docs/scalar/standalone.js": "scalar/standalone.js",
}


def add_pages(app: flask.Flask, apis: list[Api], health: Callable[[], Health], *, prefix: str = "") -> None:
    """Add health and the documents to `app`, which stands under the path `prefix`."""
    _add(
        app,
        {
            LIVE: lambda _: _health(Health.OK),
            READY: lambda exchange: _health(exchange.environ.get(READY_KEY) or health()),
        },
    )
    for api in apis:
        document = _placed(api.document, prefix)
        _add(app, {f"/openapi/{api.name}.{form}": _document(document, form) for form in FORMATS})


def add_reference(app: flask.Flask, apis: list[Api], *, prefix: str = "") -> None:
    """Add the page to read and try the two APIs to `app`, which stands under the path `prefix`."""
    to_docs = [("Location", f"{prefix}/docs")]
    _add(app, {"/": lambda _: RawAnswer(307, headers=to_docs)})
    _add(app, {address: _asset(name) for address, name in _ASSETS.items()})
    for api in apis:
        document = _placed(api.document, prefix)
        _add(app, {f"/docs/{api.name}.json": _document(with_access_in_words(document), "json")})


def _add(app: flask.Flask, pages: Mapping[str, Page]) -> None:
    for address, page in pages.items():
        app.add_url_rule(address, address, page, methods=["GET"], provide_automatic_options=False)


def _health(health: Health) -> RawAnswer:
    status = 503 if health is Health.UNAVAILABLE else 200
    return json_answer(status, orjson.dumps({"status": health}), [("Cache-Control", "no-store")])


def _placed(document: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The document with the address under which this server stands."""
    return {**document, "servers": [{"url": prefix or "/", "description": "The server that serves this document."}]}


def _document(document: dict[str, Any], form: str) -> Page:
    return _same_for_all(lambda: FORMATS[form](published(document)).encode(), [("Content-Type", _DOCUMENT_TYPES[form])])


def _asset(name: str) -> Page:
    media_type = _ASSET_TYPES[name.rsplit(".", 1)[-1]]
    headers = [("Content-Type", f"{media_type}; charset=utf-8"), ("Content-Security-Policy", _POLICY)]
    return _same_for_all((files("clinic_service.api") / "assets" / name).read_bytes, headers)


def _same_for_all(read: Callable[[], bytes], headers: list[tuple[str, str]]) -> Page:
    """A page that is made and compressed once, because anybody may ask for it as often as they like.

    Browsers keep it, and ask each time whether it has changed.
    """
    body = cache(read)
    encoded = cache(lambda encoding: encode(body(), encoding))
    tag = cache(lambda: f'W/"{sha256(body()).hexdigest()[:32]}"')

    def answer(exchange: Exchange) -> RawAnswer:
        kept = [("ETag", tag()), ("Cache-Control", "no-cache")]
        if tag() in exchange.environ.get("HTTP_IF_NONE_MATCH", ""):
            return RawAnswer(304, headers=[*headers, *kept, ("Vary", "Accept-Encoding")])
        return RawAnswer(200, body(), [*headers, *kept], encoded=encoded)

    return answer
