"""Chooses the directory of accounts."""

from __future__ import annotations

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.gateways.accounts.protocol import Accounts


def chosen_accounts(config: Config, database: Database) -> Accounts:
    """The accounts service, when one is configured, or else the directory in `database`. Raises ConfigError."""
    return HttpAccounts(config) if config.accounts_url else EmbeddedAccounts(database)
