"""The floor: a WSGI function with nothing around it that the answer does not need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import jsonschema_rs
import orjson

from tests.benchmarks.peers import settings
from tests.benchmarks.peers.checks import CLINIC_ID, EMAIL, ROLES, USER_ID, Caller, Refusal, Tokens
from tests.benchmarks.peers.engines import connect
from tests.benchmarks.peers.store import Store

_tokens = Tokens(settings.secret())
_store = Store(connect(settings.database_url()))
_is_clinic_id = re.compile(CLINIC_ID.replace("$", r"\Z")).match
_is_user_id = re.compile(USER_ID.replace("$", r"\Z")).match
_BODY = jsonschema_rs.Draft4Validator(
    {
        "type": "object",
        "required": ["email", "roles"],
        "properties": {
            "id": {"type": "string", "pattern": USER_ID},
            "inviteId": {"type": "string", "maxLength": 255},
            "email": {"type": "string", "pattern": EMAIL, "maxLength": 254},
            "name": {"type": "string", "minLength": 1, "maxLength": 255},
            "roles": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "uniqueItems": True,
                "items": {"type": "string", "enum": list(ROLES)},
            },
        },
    }
)
_LARGEST_BODY = 1 << 20
_STATUS = {200: "200 OK"}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application."""
    try:
        status, body = 200, orjson.dumps(_answer(environ))
    except Refusal as refusal:
        status, body = refusal.status, b'{"message":"refused"}'
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(_STATUS.get(status) or f"{status} Refused", headers)
    return [body]


def _answer(environ: dict[str, Any]) -> Any:
    caller = _tokens.caller(environ.get("HTTP_X_TIDEPOOL_SESSION_TOKEN"))
    match environ["REQUEST_METHOD"], environ["PATH_INFO"].split("/"):
        case "GET", ["", "v1", "clinics", clinic_id, "patients", user_id]:
            return _get_patient(caller, clinic_id, user_id)
        case "GET", ["", "v1", "clinics", clinic_id, "clinicians"]:
            return _list_clinicians(caller, clinic_id, environ)
        case "POST", ["", "v1", "clinics", clinic_id, "clinicians"]:
            return _create_clinician(caller, clinic_id, environ)
    raise Refusal(404)


def _get_patient(caller: Caller, clinic_id: str, user_id: str) -> Any:
    _store.require_member(caller, clinic_id)
    _require(_is_clinic_id(clinic_id) and _is_user_id(user_id))
    return _store.patient(clinic_id, user_id)


def _list_clinicians(caller: Caller, clinic_id: str, environ: dict[str, Any]) -> Any:
    _store.require_member(caller, clinic_id)
    _require(_is_clinic_id(clinic_id))
    query = parse_qs(environ["QUERY_STRING"])
    limit, offset = _integer(query, "limit", "10"), _integer(query, "offset", "0")
    _require(1 <= limit <= 1000)
    if query.keys() & {"search", "email", "role"}:
        raise Refusal(501)
    return _store.clinicians(clinic_id, limit, offset)


def _create_clinician(caller: Caller, clinic_id: str, environ: dict[str, Any]) -> Any:
    if not caller.is_service:
        raise Refusal(403)
    _require(_is_clinic_id(clinic_id))
    length = int(environ.get("CONTENT_LENGTH") or 0)
    _require(length <= _LARGEST_BODY and environ.get("CONTENT_TYPE") == "application/json")
    try:
        body = orjson.loads(environ["wsgi.input"].read(length))
    except orjson.JSONDecodeError:
        raise Refusal(400) from None
    _require(_BODY.is_valid(body))
    return _store.create_clinician(clinic_id, body)


def _integer(query: dict[str, list[str]], name: str, default: str) -> int:
    text = query.get(name, [default])[-1]
    _require(text.isdecimal())
    return int(text)


def _require(is_valid: object) -> None:
    if not is_valid:
        raise Refusal(400)
