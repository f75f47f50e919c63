"""Redox, which delivers the messages of this server to health record systems."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from clinic_service.gateways.client_credentials import assertion_token

SECONDS = 10.0
# The time limit of an upload in seconds. An upload sends a whole report.
UPLOAD_SECONDS = 60.0
_ALGORITHM = "RS384"
_ASSERTION_LIFETIME = timedelta(minutes=5)
# The time before the expiry of a token at which a new one is fetched.
_EARLY = timedelta(minutes=1)
_TAKEN = (200, 201, 202, 204)


class RedoxRefused(BadGateway):
    """Redox refused a message, or refused to issue a token."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Redox answered with status {status}.")


class RedoxApi(Protocol):
    """Sends messages and files. Raises RedoxRefused, BadGateway for an invalid answer, and Unavailable without one."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Send the message. It must be idempotent: after an error it is not known whether Redox accepted it."""

    def upload(self, name: str, content: bytes) -> str:
        """Store a PDF under a file name. Returns the URI by which a message can refer to it."""


class HttpRedox:
    """Redox over HTTP. Safe to share between threads."""

    def __init__(self, config: Config, *, seconds: float = SECONDS) -> None:
        """`seconds`: the time limit of a call, except of uploads. Raises ConfigError for invalid addresses and keys."""
        self._endpoint = http.RemoteService(_url(config.redox_endpoint_url, "ENDPOINT_URL"), seconds=seconds)
        self._blob = http.RemoteService(_url(config.redox_blob_url, "BLOB_URL"), seconds=max(seconds, UPLOAD_SECONDS))
        token_url = _url(config.redox_token_url, "TOKEN_URL")
        assertion = _Assertion(config, token_url)
        self._token = assertion_token(http.RemoteService(token_url, seconds=seconds), assertion.form, early=_EARLY)

    def send(self, message: Mapping[str, Any]) -> None:
        self._call(self._endpoint, orjson.dumps(message), "application/json")

    def upload(self, name: str, content: bytes) -> str:
        body, content_type = http.multipart("file", name, content, "application/pdf")
        uri = self._call(self._blob, body, content_type).json_object().get("URI")
        if not isinstance(uri, str) or not http.is_http_url(uri):
            raise BadGateway
        return uri

    def _call(self, service: http.RemoteService, body: bytes, content_type: str) -> http.Reply:
        """Send one request with this server's token."""
        headers = {"accept": "application/json", "content-type": content_type}

        def send(token: str) -> http.Reply:
            return service.exchange("POST", "", headers=headers | {"authorization": f"Bearer {token}"}, body=body)

        reply = self._token.call(send)
        if reply.status not in _TAKEN:
            raise RedoxRefused(reply.status)
        return reply


class _Assertion:
    """Makes assertions: tokens that this server signs itself, which Redox exchanges for access tokens (RFC 7523)."""

    def __init__(self, config: Config, audience: str) -> None:
        self._client_id = config.redox_client_id or ""
        self._headers = {"kid": config.redox_key_id or ""}
        self._key = _private_key(config.redox_private_key or "")
        self._audience = audience

    def form(self) -> bytes:
        """The body of a request for an access token, with a new assertion."""
        return urlencode(
            {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._signed(),
            }
        ).encode("ascii")

    def _signed(self) -> str:
        now = clock.now()
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._audience,
            "iat": int(now.timestamp()),
            "exp": int((now + _ASSERTION_LIFETIME).timestamp()),
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers=self._headers)


def chosen_redox(config: Config) -> RedoxApi | None:
    """The implementation for `config`; None when Redox is switched off. Raises ConfigError."""
    return HttpRedox(config) if config.redox_enabled else None


def _private_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError("CLINIC_REDOX_PRIVATE_KEY must be an RSA key in PEM form, without a password.")
    return key


def _url(url: str, name: str) -> str:
    if not http.is_http_url(url):
        raise ConfigError(f"CLINIC_REDOX_{name} must be an http(s) URL.")
    return url
