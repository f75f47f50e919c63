"""Client credentials of partners: an identity provider checks them, and tells to which account they belong."""

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
    """The identity provider does not know the client, or its secret is wrong."""

    message = "The identity provider does not accept the credentials."


class OpenIdNotConfigured(BadGateway):
    """No identity provider is configured."""

    message = "This server has no identity provider for service accounts."


class OpenIdUnreachable(BadGateway):
    """The identity provider did not answer in time, or the keys to check its answer could not be fetched."""

    message = "The identity provider cannot be reached just now."


class UnusableIdToken(BadGateway):
    """The answer contains no id token, or an invalid one."""

    message = "The identity provider gave no usable identity."


class OpenId(Protocol):
    """An identity provider that knows the clients of partners.

    Credentials, and the tokens for which they are exchanged, are not stored, and no error contains them.
    """

    def find_subject(self, client_id: str, client_secret: str) -> str:
        """The user id of the client's account. Raises CredentialsRefused, and BadGateway for all other failures."""


class UnconfiguredOpenId:
    """Used when no identity provider is configured."""

    def find_subject(self, client_id: str, client_secret: str) -> str:  # noqa: ARG002
        raise OpenIdNotConfigured


class HttpOpenId:
    """The token endpoint of an OpenID provider. Safe to share between threads."""

    def __init__(self, config: Config, *, seconds: float = http.DEFAULT_SECONDS) -> None:
        """`seconds`: the timeout of one call. Raises ConfigError for an invalid address and for unusable keys."""
        endpoint = config.auth_service_token_endpoint or ""
        if not http.is_http_url(endpoint):
            raise ConfigError("CLINIC_AUTH_SERVICE_TOKEN_ENDPOINT must be an http(s) URL.")
        self._endpoint = http.RemoteService(endpoint, seconds=seconds)
        jwks = Jwks(config.auth_service_jwks or "", setting="CLINIC_AUTH_SERVICE_JWKS", seconds=seconds)
        # Without a shared secret, so only the algorithms of public keys are accepted.
        self._keys = KeyRing(None, jwks)
        self._issuer = config.auth_service_issuer or ""

    def find_subject(self, client_id: str, client_secret: str) -> str:
        token = self._exchange(client_id, client_secret).get("id_token")
        if not isinstance(token, str):
            raise UnusableIdToken
        return _subject(self._verified(token, client_id))

    def _exchange(self, client_id: str, client_secret: str) -> Mapping[str, Any]:
        """The answer to a client credentials grant."""
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
        """The claims of `token`.

        Raises UnusableIdToken unless the provider issued it for this client and it is valid now.
        """
        try:
            claims = signed_claims(token, self._keys)
            require_time_between(claims, clock.now())
            require_issuer(claims, self._issuer)
            require_audience(claims, client_id)
        except Unauthenticated:
            raise UnusableIdToken from None
        except Unavailable:
            raise OpenIdUnreachable from None
        # A token for several audiences names the client that asked for it.
        if claims.get("azp", client_id) != client_id:
            raise UnusableIdToken
        return claims


def chosen_openid(config: Config) -> OpenId:
    """The identity provider for `config`. Raises ConfigError."""
    return HttpOpenId(config) if config.auth_service_token_endpoint else UnconfiguredOpenId()


def _subject(claims: Mapping[str, Any]) -> str:
    """The user id in the claims. Raises UnusableIdToken for a subject that is not a user id."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_user_id(subject):
        raise UnusableIdToken
    return subject
