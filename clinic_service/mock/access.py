"""Who may call an operation of the mock: anybody with credentials of its kind, or, with `--auth`, whom its rules admit.

Rules that rest on relations in the database (`member`, `admin`, `custodian` …) cannot be decided here. They admit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Never
from urllib.parse import parse_qs

from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.auth.rules import Access, AccessCheck
from clinic_service.errors import Unauthenticated

# Who calls when nobody asks.
ANYBODY = Caller("anybody", CallerKind.SERVICE)

Environ = Mapping[str, Any]
# Whether a request carries credentials of one kind, good or bad.
Credential = Callable[[Environ], bool]


class OpenAccess(Access):
    """Admits whoever sends credentials of the kind that the operation asks for, whatever they are.

    `alternatives`: of each list all credentials are needed, and one of the lists is enough. Without a list none is.
    """

    def __init__(self, alternatives: list[list[Credential]]) -> None:
        super().__init__([(_anybody, "")])
        self._alternatives = alternatives

    def require_credentials(self, environ: Environ) -> None:
        """Raise Unauthenticated when they are missing."""
        if self._alternatives and not any(all(sent(environ) for sent in needed) for needed in self._alternatives):
            raise Unauthenticated


def _anybody(_check: AccessCheck, _parameter: str) -> bool:
    return True


class Undecided(Exception):
    """A rule asked for relations, which are in the database."""


class _NoDatabase:
    def __getattr__(self, name: str) -> Never:
        raise Undecided


# Stands for the unit of work in the check of a rule.
NO_DATABASE: Any = _NoDatabase()


def credential(scheme: Mapping[str, Any]) -> Credential:
    """How the credentials of a security scheme are found in a request."""
    if scheme["type"] == "apiKey":
        return _key(scheme["in"], scheme["name"])
    # OAuth and OpenID Connect send bearer tokens.
    prefix = f"{scheme['scheme']} " if scheme["type"] == "http" else "bearer "
    return lambda environ: str(environ.get("HTTP_AUTHORIZATION", "")).lower().startswith(prefix.lower())


def _key(location: str, name: str) -> Credential:
    if location == "header":
        variable = f"HTTP_{name.upper().replace('-', '_')}"
        return lambda environ: bool(environ.get(variable))
    if location == "query":
        return lambda environ: name in parse_qs(environ.get("QUERY_STRING", ""))
    return lambda environ: name in _cookies(environ)


def _cookies(environ: Environ) -> Mapping[str, Any]:
    try:
        return SimpleCookie(environ.get("HTTP_COOKIE", ""))
    except CookieError:
        return {}
