"""The head of an answer as bytes."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from clinic_service.api.exchange import RawAnswer

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


def answer_head(answer: RawAnswer, *, keep_alive: bool, version: str) -> bytes:
    """The status line and the headers of `answer` to a request of this HTTP version (`1.0` or `1.1`)."""
    lines = [f"{name}: {value}\r\n" for name, value in answer.headers]
    if answer.status not in (204, 304):
        lines.append(f"Content-Length: {len(answer.body)}\r\n")
    if not keep_alive:
        lines.append("Connection: close\r\n")
    elif version == "1.0":
        lines.append("Connection: keep-alive\r\n")
    status = _STATUS_LINES.get(answer.status) or f"HTTP/1.1 {answer.status} \r\n"
    return "".join((status, _date(int(time.monotonic())), *lines, "\r\n")).encode("latin-1")


@lru_cache(maxsize=1)
def _date(_second: int) -> str:
    return f"Date: {formatdate(usegmt=True)}\r\n"
