"""Client credentials of partners: whether an identity provider accepts them, and whose account they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway, BadRequest, Unauthenticated, Unavailable
from clinic_service.gateways import http
from clinic_service.gateways.session_keys import Jwks, KeyRing
from clinic_service.gateways.signed_tokens import (
    require_audience,
    require_issuer,
    require_time_between,
    signed_claims,
)
from clinic_service.gateways.user_ids import is_user_id

_REFUSALS = (400, 401)
_HEADERS = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}


class CredentialsRefused(BadRequest):
    """The identity provider knows no such client, or another secret of it."""

    message = "The identity provider does not accept the credentials."


class OpenIdNotConfigured(BadGateway):
    """There is nobody to ask."""

    message = "This server has no identity provider for service accounts."


class OpenIdUnreachable(BadGateway):
    """No answer, or none in time; or the keys to check it with could not be had."""

    message = "The identity provider cannot be reached just now."


class UnusableIdToken(BadGateway):
    """The answer holds no id token, or one that must not be believed."""

    message = "The identity provider gave no usable identity."


class OpenId(Protocol):
    """Somebody who knows the clients of partners.

    Nothing is kept of the credentials and of the tokens they are exchanged for, and no error holds any of it.
    """

    def find_subject(self, client_id: str, client_secret: str) -> str:
        """The user id of the client's account. Raises CredentialsRefused, and BadGateway for all other failures."""


class UnconfiguredOpenId:
    """Stands in where no identity provider is configured."""

    def find_subject(self, client_id: str, client_secret: str) -> str:  # noqa: ARG002
        raise OpenIdNotConfigured


class HttpOpenId:
    """The token endpoint of an OpenID provider. Safe to share between threads."""

    def __init__(self, config: Config, *, seconds: float = http.DEFAULT_SECONDS) -> None:
        """`seconds`: the time for one call. Raises ConfigError for an address that cannot be called and for bad keys."""
        endpoint = config.auth_service_token_endpoint or ""
        if not http.is_http_url(endpoint):
            raise ConfigError("CLINIC_AUTH_SERVICE_TOKEN_ENDPOINT must be an http(s) URL.")
        self._endpoint = http.Neighbour(endpoint, seconds=seconds)
        jwks = Jwks(config.auth_service_jwks or "", setting="CLINIC_AUTH_SERVICE_JWKS", seconds=seconds)
        # No shared secret, so the algorithms are those of public keys.
        self._keys = KeyRing(None, jwks)
        self._issuer = config.auth_service_issuer or ""

    def find_subject(self, client_id: str, client_secret: str) -> str:
        token = self._exchange(client_id, client_secret).get("id_token")
        if not isinstance(token, str):
            raise UnusableIdToken
        return _subject(self._verified(token, client_id))

    def _exchange(self, client_id: str, client_secret: str) -> Mapping[str, Any]:
        """The answer to the client credentials grant."""
        form = {"grant_type": "client_credentials", "scope": "openid"}
        form |= {"client_id": client_id, "client_secret": client_secret}
        body = urlencode(form).encode("ascii")
        try:
            reply = self._endpoint.exchange("POST", "", headers=_HEADERS, body=body)
        except Unavailable:
            raise OpenIdUnreachable from None
        if reply.status in _REFUSALS:
            raise CredentialsRefused
        if reply.status != 200:
            raise BadGateway
        return reply.json_object()

    def _verified(self, token: str, client_id: str) -> Mapping[str, Any]:
        """What `token` says, if the provider made it for this client and it is in force."""
        try:
            claims = signed_claims(token, self._keys)
            require_time_between(claims, clock.now())
            require_issuer(claims, self._issuer)
            require_audience(claims, client_id)
        except Unauthenticated:
            raise UnusableIdToken from None
        except Unavailable:
            raise OpenIdUnreachable from None
        # A token for several names the one that asked for it.
        if claims.get("azp", client_id) != client_id:
            raise UnusableIdToken
        return claims


def chosen_openid(config: Config) -> OpenId:
    """The provider that `config` describes. Raises ConfigError."""
    return HttpOpenId(config) if config.auth_service_token_endpoint else UnconfiguredOpenId()


def _subject(claims: Mapping[str, Any]) -> str:
    """The user id in the claims; a subject of another form could never sign in here."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_user_id(subject):
        raise UnusableIdToken
    return subject
