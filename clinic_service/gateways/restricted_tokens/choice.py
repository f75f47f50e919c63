"""Chooses the store of restricted tokens."""

from __future__ import annotations

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.gateways.restricted_tokens.http import HttpRestrictedTokens
from clinic_service.gateways.restricted_tokens.protocol import RestrictedTokens
from clinic_service.gateways.server_token import chosen_server_token


def chosen_restricted_tokens(config: Config, database: Database) -> RestrictedTokens:
    """The auth service if it is configured, else the tokens in `database`. Raises ConfigError."""
    if config.auth_client_address:
        return HttpRestrictedTokens(config, chosen_server_token(config))
    return EmbeddedRestrictedTokens(database)
