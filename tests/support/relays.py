"""Relays with the gateways of a test."""

from __future__ import annotations

from typing import Any

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.mail import Mailer
from clinic_service.outbox.relay import Relay
from clinic_service.resources.patients.accounts.compensation import Compensation


def make_relay(database: Database, config: Config, mailer: Mailer | None, accounts: Accounts, **settings: Any) -> Relay:
    """A relay that sends mail by `mailer`, none when that is None, and puts accounts right at `accounts`."""
    return Relay(database, config, mailer, accounts, Compensation(database, accounts).compensate, **settings)
