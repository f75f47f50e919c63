"""Every failure, whatever its source, as the one error body of the spec (`error.v1`, which also is a problem detail)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from clinic_service.api.exchange import Exchange, RawAnswer, json_answer
from clinic_service.api.preferences import preference_headers
from clinic_service.errors import BadRequest, ServiceError, Unauthenticated, Violation
from clinic_service.metrics.counters import count_defect

_log = logging.getLogger("clinic_service.defects")

_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_ROUTE_MESSAGES = {404: "There is nothing at this address.", 405: "The address does not take this method."}


def answer_failure(error: BaseException, exchange: Exchange) -> RawAnswer:
    """The answer for anything that was raised while a request was carried out."""
    if isinstance(error, ServiceError):
        return _answer(error.status, error.message, exchange, error.violations, _headers(error, exchange))
    if isinstance(error, HTTPException):
        return _answer_routing(error, exchange)
    return _answer_defect(error, exchange)


def _answer_routing(error: HTTPException, exchange: Exchange) -> RawAnswer:
    # Paths match exactly: an address that only a redirect would lead to is an unknown one.
    status = 404 if isinstance(error, RequestRedirect) else error.code or 500
    headers = []
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers.append(("Allow", ", ".join(sorted(error.valid_methods))))
    return _answer(status, _ROUTE_MESSAGES.get(status, _title(status)), exchange, headers=headers)


def _answer_defect(error: BaseException, exchange: Exchange) -> RawAnswer:
    """500 with a reference. The log gets the kind of error and where it arose; its text could hold a request's values."""
    count_defect(exchange.operation_id)
    frames = traceback.extract_tb(error.__traceback__)
    _log.error(
        "defect %s in %s: %s at %s",
        exchange.request_id,
        exchange.operation_id,
        type(error).__name__,
        " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)),
    )
    return _answer(500, ServiceError.message, exchange)


def _answer(
    status: int,
    message: str,
    exchange: Exchange,
    violations: Sequence[Violation] = (),
    headers: list[tuple[str, str]] | None = None,
) -> RawAnswer:
    body: dict[str, Any] = {
        "code": status,
        "message": message,
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": message,
        "instance": exchange.request_id,
    }
    if violations:
        body["errors"] = [violation._asdict() for violation in violations]
    return json_answer(status, orjson.dumps(body), headers or ())


def _headers(error: ServiceError, exchange: Exchange) -> list[tuple[str, str]]:
    if isinstance(error, Unauthenticated):
        return [("WWW-Authenticate", error.challenge)]
    if error.retry_after is not None:
        return [("Retry-After", str(error.retry_after))]
    # Of the other refusals, only those of a request that does not fit the spec depend on the preference.
    return preference_headers(exchange.environ) if isinstance(error, BadRequest) else []


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase
