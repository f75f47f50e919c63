"""Access to the operations of the mock.

By default every caller with the right kind of credentials is admitted. With `--auth` the access rules decide, but rules
about relations in the database (`member`, `admin`, `custodian` …) cannot be checked, and admit every caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Never
from urllib.parse import parse_qs

from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.auth.rules import Access, AccessCheck
from clinic_service.errors import Unauthenticated

# The caller when tokens are not checked.
ANYBODY = Caller("anybody", CallerKind.SERVICE)

Environ = Mapping[str, Any]
# Whether a request has credentials of one kind, valid or not.
Credential = Callable[[Environ], bool]


class OpenAccess(Access):
    """Admits every caller who sends the kind of credentials that the operation requires, valid or not.

    `alternatives`: a request needs all credentials of at least one of the lists. Without lists no credentials are needed.
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
    """A rule needs relations that only the database has."""


class _NoDatabase:
    def __getattr__(self, name: str) -> Never:
        raise Undecided


# Takes the place of the unit of work when a rule is checked.
NO_DATABASE: Any = _NoDatabase()


def credential(scheme: Mapping[str, Any]) -> Credential:
    """The function that finds the credentials of a security scheme in a request."""
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
