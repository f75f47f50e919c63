"""The session token with which this server calls the other services of its platform."""

from __future__ import annotations

from datetime import timedelta

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from clinic_service.gateways.own_tokens import IssuedToken, OwnToken
from clinic_service.gateways.tokens import mint, session_secret

SESSION_HEADER = "x-tidepool-session-token"
# The name of this server in tokens when it has no name for a log-in.
_NAME = "clinic-service"
_LIFETIME = timedelta(hours=1)


def chosen_server_token(config: Config) -> OwnToken:
    """The token of a log-in if that is configured, else a token that this server signs itself. Raises ConfigError."""
    address = config.auth_client_external_address or config.accounts_url
    if address is None:
        return signed_token(config)
    if not http.is_http_url(address):
        raise ConfigError("CLINIC_AUTH_CLIENT_EXTERNAL_ADDRESS must be an http(s) URL.")
    return server_login(config, http.RemoteService(address.rstrip("/")))


def server_login(config: Config, service: http.RemoteService) -> OwnToken:
    """The token that `service` returns for the name and the secret of this server."""
    headers = {
        "x-tidepool-server-name": config.accounts_server_name or "",
        "x-tidepool-server-secret": config.accounts_server_secret or "",
    }

    def log_in() -> IssuedToken:
        reply = service.exchange_twice("POST", "/serverlogin", headers=headers).require(200)
        token = reply.headers.get(SESSION_HEADER)
        if not token:
            raise BadGateway
        return IssuedToken(token)

    return OwnToken(log_in)


def signed_token(config: Config) -> OwnToken:
    """A token that is signed with the secret of session tokens. Raises ConfigError when no secret is configured."""
    secret = session_secret(config)

    def sign() -> IssuedToken:
        issuer, audience = config.session_issuer, config.session_audience
        token = mint(secret, _NAME, service=True, lifetime=_LIFETIME, issuer=issuer, audience=audience)
        return IssuedToken(token, clock.now() + _LIFETIME)

    return OwnToken(sign)
