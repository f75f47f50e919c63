"""The partners whose systems call this server, and how each proves itself. None of them has a session token.

`x-access: [partner:NAME]` in the spec names the partner. The operation must declare the security scheme that the code
checks for this partner, so that every security scheme in the spec is checked.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config
from clinic_service.errors import NotImplementedYet, Unauthenticated

Environ = Mapping[str, Any]
_log = logging.getLogger(__name__)


class SecretRefused(Unauthenticated):
    """The secret is missing or wrong. The message does not tell which, nor whether a secret is configured."""

    message = "The shared secret is missing or not valid."


class XealthDisabled(NotImplementedYet):
    """Xealth is switched off by `CLINIC_XEALTH_ENABLED`."""

    message = "Xealth is not enabled on this server."


@dataclass(frozen=True)
class Partner:
    """A partner: the security scheme of the spec that it uses, and the checks of its requests.

    `scheme` is None when the secret is not in a header. Then the secret is in the body, and `check_body` gets the decoded
    body before it is validated; or it is in the query, and the operation itself checks it. `check` gets the WSGI
    environment. A check raises Unauthenticated or XealthDisabled to refuse the request.
    """

    scheme: str | None
    check: Callable[[Config, Environ], None]
    check_body: Callable[[Config, Any], None] | None = None


def _check_redox(config: Config, environ: Environ) -> None:
    if not _same(config.redox_verification_token, _bytes(environ.get("HTTP_VERIFICATION_TOKEN", ""))):
        raise SecretRefused


def _check_redox_challenge(config: Config, environ: Environ) -> None:  # noqa: ARG001 - the secret is in the body
    if not config.redox_verification_token:
        raise SecretRefused


def _check_redox_body(config: Config, body: Any) -> None:
    sent = body.get("verification-token") if isinstance(body, dict) else None
    if not isinstance(sent, str) or not _same(config.redox_verification_token, sent.encode()):
        raise SecretRefused


def _check_xealth(config: Config, environ: Environ) -> None:
    _require_xealth(config, environ)
    scheme, _, sent = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "bearer" or not _same(config.xealth_bearer_token, _bytes(sent)):
        raise SecretRefused


def _require_xealth(config: Config, environ: Environ) -> None:  # noqa: ARG001 - the viewer's token is in the query
    if not config.xealth_enabled:
        raise XealthDisabled


def _bytes(header: str) -> bytes:
    """The bytes of a header, which WSGI hands on as characters."""
    return header.encode("latin-1")


def _same(expected: str | None, sent: bytes) -> bool:
    """Whether `sent` is the secret `expected` in UTF-8, compared in constant time; an unset secret admits nobody."""
    return bool(expected) and hmac.compare_digest(str(expected).encode(), sent)


PARTNERS: Mapping[str, Partner] = {
    "redox": Partner("redoxToken", _check_redox),
    "redox-challenge": Partner(None, _check_redox_challenge, _check_redox_body),
    "xealth": Partner("xealthToken", _check_xealth),
    "report": Partner(None, _require_xealth),
}


def proves_itself_early(name: str) -> bool:
    """Whether the secret of the partner `name` is in a header, so that it is checked before anything else is read."""
    return PARTNERS[name].scheme is not None


def warn_of_missing_secrets(config: Config) -> None:
    """Log a warning when no secret is shared with Redox, because then every call of Redox is refused.

    Xealth needs no warning: its operations are switched on by a setting, which requires the secret.
    """
    if not config.redox_verification_token:
        _log.warning("redox_secret_missing")


def partner_caller(name: str, environ: Environ, config: Config) -> Caller:
    """The partner `name`, which has proved itself. Raises Unauthenticated and XealthDisabled."""
    PARTNERS[name].check(config, environ)
    return Caller(name, CallerKind.PARTNER)


def require_partner_body(name: str, body: Any, config: Config) -> None:
    """Check the secret in the decoded `body`, if the partner `name` sends it there. Raises Unauthenticated."""
    check_body = PARTNERS[name].check_body
    if check_body:
        check_body(config, body)
