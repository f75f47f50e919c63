"""create_relay: the only place where the relay and what it delivers are put together."""

from __future__ import annotations

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.mail import chosen_mailer
from clinic_service.outbox.relay import Relay
from clinic_service.resources.patients.accounts.compensation import Compensation


def create_relay(config: Config, database: Database) -> Relay:
    """The relay that delivers the outbox of `database`, with the gateways that the settings choose."""
    accounts = chosen_accounts(config, database)
    return Relay(database, config, chosen_mailer(config), accounts, Compensation(database, accounts).compensate)
