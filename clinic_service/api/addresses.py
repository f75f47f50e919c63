"""The address of a request, read as it was sent. Two addresses that are written differently are different."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from clinic_service.errors import BadRequest, NotFound, Violation

_LATIN_1 = "latin-1"


class UnknownAddress(NotFound):
    """No operation and no page has this address."""

    message = "There is nothing at this address."


def split_target(target: str) -> tuple[str, str]:
    """Path and query of a request target: `/path?query`, or `http://host/path?query` as it is sent to a proxy."""
    path, _, query = target.partition("?")
    if not path.startswith("/") and "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    return path, query


def request_path(environ: Mapping[str, Any], prefix: str = "") -> str:
    """The decoded path of a WSGI request, without `prefix`.

    Raises UnknownAddress for a path outside the prefix and for one with an empty segment or an encoded slash, and
    BadRequest for an encoded NUL and for bytes that are not UTF-8.
    """
    target = environ.get("REQUEST_URI")
    # A server that does not hand the target over has decoded the path already.
    path = split_target(target)[0] if target else environ.get("PATH_INFO", "")
    if prefix:
        path = _without(prefix, path)
    if "//" in path:
        raise UnknownAddress
    return _decoded(path) if target and "%" in path else _text(path.encode(_LATIN_1))


def _without(prefix: str, path: str) -> str:
    rest = path.removeprefix(prefix)
    if rest == path or not (rest == "" or rest.startswith("/")):
        raise UnknownAddress
    return rest or "/"


def _decoded(path: str) -> str:
    lowered = path.lower()
    if "%2f" in lowered:
        raise UnknownAddress
    if "%00" in lowered:
        raise BadRequest(violations=[Violation("/path", "characters")])
    # Characters that should have been encoded and were not are bytes of UTF-8 as well.
    return _text(unquote_to_bytes(path.encode(_LATIN_1)))


def _text(path: bytes) -> str:
    """The path, whose bytes WSGI hands over as latin-1."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(violations=[Violation("/path", "encoding", "UTF-8")]) from None
