"""What every refusal and failure looks like, as the spec describes it."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jsonschema_rs import Draft4Validator

from clinic_service.specification.apis import Api, load_apis

if TYPE_CHECKING:
    from tests.support.client import Reply


@cache
def spec_apis() -> list[Api]:
    """Both APIs, read once."""
    return load_apis()


@cache
def _error_validator() -> Draft4Validator:
    schema: dict[str, Any] = spec_apis()[0].document["components"]["schemas"]["error.v1"]
    return Draft4Validator({**schema, "additionalProperties": False})


def assert_error(reply: Reply, status: int) -> None:
    """`reply` is a refusal or failure with `status`, in the form of `error.v1`, with all of its members agreeing."""
    assert reply.status == status, reply.json
    assert reply.headers["Content-Type"] == "application/json"
    _error_validator().validate(reply.json)
    assert reply.json["code"] == reply.json["status"] == status
    assert reply.json["message"] == reply.json["detail"]
    assert reply.json["type"] == "about:blank"
    assert reply.json["title"] in (HTTPStatus(status).phrase, "Content Too Large", "Unprocessable Content")
    assert reply.json["instance"] == reply.headers["X-Tidepool-Trace-Request"]
    # Only a request that does not fit the spec, or clashes with what is stored, is told where.
    assert "errors" not in reply.json or status in (400, 409, 422)


def assert_violations(reply: Reply, *violations: tuple[str, str]) -> None:
    """`reply` is a 400 that names these places and rules, and no others."""
    assert_error(reply, 400)
    assert [(violation["pointer"], violation["rule"]) for violation in reply.json["errors"]] == list(violations)
