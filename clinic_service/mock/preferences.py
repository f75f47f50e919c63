"""Preferences of a request: `code`, `example` and `dynamic` in the header `Prefer` (RFC 7240)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from clinic_service.errors import BadRequest, Violation

POINTER = "/header/Prefer"
_PREFERENCE = re.compile(r'([A-Za-z-]+)\s*=\s*(?:"([^"]*)"|([^\s,;"]+))')
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The answer that the client prefers: its status, the name of an example, and whether to generate its values."""

    code: str | None
    example: str | None
    dynamic: bool


def read_preferences(environ: dict[str, Any]) -> Wanted:
    """The preferences of a request. The first value of a repeated preference counts.

    Raises BadRequest when `dynamic` is neither `true` nor `false`.
    """
    given: dict[str, str] = {}
    for name, quoted, plain in _PREFERENCE.findall(environ.get("HTTP_PREFER", "")):
        given.setdefault(name.lower(), quoted or plain)
    dynamic = given.get("dynamic", "false").lower()
    if dynamic not in _BOOLEANS:
        raise BadRequest("The preference dynamic is true or false.", [Violation(POINTER, "enum", list(_BOOLEANS))])
    return Wanted(given.get("code"), given.get("example"), _BOOLEANS[dynamic])


def applied_header(code: str | None, example: str | None, dynamic: bool) -> list[tuple[str, str]]:
    """The header that names the applied preferences; empty when none was applied."""
    words = {"code": code, "example": example and _quoted(example), "dynamic": "true" if dynamic else None}
    applied = ", ".join(f"{name}={word}" for name, word in words.items() if word)
    return [("Preference-Applied", applied)] if applied else []


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.-]+", text, re.ASCII) else f'"{text}"'
