"""Reading request bodies: counted while they arrive, and decoded more strictly than JSON libraries do by default.

This module refuses text that is not UTF-8, NUL characters, lone surrogates, NaN and infinities, integers beyond 64 bits,
duplicate keys, and nesting deeper than 64. The databases cannot store the first three, and JSON libraries read the others
differently.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from clinic_service.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType, Violation

DEFAULT_LIMIT = 1 << 20
# A body up to this size is read before the caller is known.
SMALL_BYTES = 8192
# The server sets this in the WSGI environment of a request that it has admitted.
ADMITTED = "clinic_service.admitted"
MAX_DEPTH = 64
_MIN_INTEGER, _MAX_INTEGER = -(1 << 63), (1 << 63) - 1
_MAX_DIGITS = 20
_CHUNK = 1 << 16
_CONTAINERS = (list, dict)


class _Absent:
    """No body was sent; this is not the same as `null`."""

    def __bool__(self) -> bool:
        return False


ABSENT = _Absent()


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """The whole body, `b""` when there is none. Raises PayloadTooLarge as soon as more than `limit` bytes arrive."""
    length = require_length_within(environ, limit)
    if not length:
        return _read_undeclared(environ, limit)
    body = _read_counted(environ["wsgi.input"], int(length), limit)
    if len(body) < int(length):
        raise BadRequest("The request body ended early.")
    return body


def may_be_large(environ: dict[str, Any]) -> bool:
    """Whether the body may have more than SMALL_BYTES bytes and the server has not admitted the request already."""
    if ADMITTED in environ:
        return False
    length = environ.get("CONTENT_LENGTH")
    if not length:
        return _is_chunked(environ)
    return not length.isdecimal() or len(length) > _MAX_DIGITS or int(length) > SMALL_BYTES


def require_length_within(environ: dict[str, Any], limit: int) -> str:
    """The header Content-Length, empty when there is none. Raises PayloadTooLarge when it says more than `limit` bytes."""
    length: str = environ.get("CONTENT_LENGTH") or ""
    if length and not length.isdecimal():
        raise BadRequest("The header Content-Length is not valid.")
    # The digits are counted first, because Python refuses to read thousands of them.
    if len(length) > _MAX_DIGITS or int(length or 0) > limit:
        raise PayloadTooLarge
    return length


def _read_undeclared(environ: dict[str, Any], limit: int) -> bytes:
    """A body without a length: a chunked one, or none."""
    is_chunked = _is_chunked(environ)
    if not is_chunked and not environ.get("wsgi.input_terminated"):
        return b""
    body = _read_counted(environ["wsgi.input"], limit + 1, limit)
    if is_chunked and not body:
        # A broken stream looks like an empty body, and where the body is optional the two must not be confused.
        raise BadRequest("The request body ended early.")
    return body


def _is_chunked(environ: dict[str, Any]) -> bool:
    return "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()


def _read_counted(stream: Any, wanted: int, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < wanted:
        part = stream.read(min(_CHUNK, wanted - size))
        if not part:
            break
        parts.append(part)
        size += len(part)
    if size > limit:
        raise PayloadTooLarge
    return b"".join(parts)


def require_json(content_type: str) -> None:
    """Raise UnsupportedMediaType unless `content_type` says JSON in UTF-8; letter case does not matter."""
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType


def require_uncompressed(content_encoding: str) -> None:
    """Raise UnsupportedMediaType when the header Content-Encoding says that the body is compressed."""
    if any(coding.strip().lower() not in ("", "identity") for coding in content_encoding.split(",")):
        raise UnsupportedMediaType("The request body must not be compressed.")


def decode_json(raw: bytes) -> Any:
    """The JSON value in `raw`; ABSENT when `raw` is blank. Raises BadRequest for everything that this module refuses."""
    if not raw.strip():
        return ABSENT
    try:
        text = raw.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError:
        _refuse("utf-8")
    except (ValueError, RecursionError):
        _refuse("json")
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        _refuse("depth", MAX_DEPTH)
    if "\\u" in text and not _is_storable(value):
        _refuse("characters")
    return value


def _refuse(rule: str, expected: object = True) -> NoReturn:
    raise BadRequest("The request body cannot be read.", [Violation("/body", rule, expected)]) from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        _refuse("unique-keys")
    return made


def _integer(digits: str) -> int:
    # Twenty characters hold every 64-bit integer; Python would spend long on thousands of digits.
    if len(digits) > _MAX_DIGITS or not _MIN_INTEGER <= int(digits) <= _MAX_INTEGER:
        _refuse("int64")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse("number")
    return number


def _constant(_name: str) -> NoReturn:
    _refuse("number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_number, parse_constant=_constant, strict=True
)


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner = [node.values() if isinstance(node, dict) else node for node in level]
        level = [child for children in inner for child in children if isinstance(child, _CONTAINERS)]
        if deepest > MAX_DEPTH:
            break
    return deepest if isinstance(value, _CONTAINERS) else 0


def _is_storable(value: Any) -> bool:
    """Whether no text in `value` holds a NUL or half a surrogate pair; both can only come from `\\u` escapes."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            if "\x00" in node or not _encodes(node):
                return False
        elif isinstance(node, dict):
            pending.extend(node)
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return True


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
