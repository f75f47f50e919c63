"""create_relays: the only place where the relays and what they deliver are put together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from clinic_service.audit.log import AuditLog
from clinic_service.audit.sealing import Sealer
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.mail import chosen_mailer
from clinic_service.outbox.relay import Relay, RelayLoop
from clinic_service.resources.ehr.redox.relay import KINDS, chosen_redox_relay
from clinic_service.resources.patients.accounts.compensation import Compensation


class Background(Protocol):
    """Work that runs in the background, independently of requests."""

    @property
    def name(self) -> str:
        """The name of its thread."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""


def create_relays(config: Config, database: Database) -> list[RelayLoop]:
    """The relays that deliver the outbox of `database` together, with the gateways that the settings choose.

    Each works by itself, so that mails do not wait for reports. Raises ConfigError.
    """
    accounts = chosen_accounts(config, database)
    compensate = Compensation(database, accounts).compensate
    redox = chosen_redox_relay(config, database, accounts)
    left_out = KINDS if redox else frozenset[str]()
    relay = Relay(database, config, chosen_mailer(config), accounts, compensate, left_out=left_out)
    return [relay, redox] if redox else [relay]


def create_sealers(config: Config, database: Database, audit_log: AuditLog | None) -> list[Sealer]:
    """The sealers of the audit trail of `database`; none when requests are not recorded."""
    return [Sealer(database, audit_log, keep_days=config.audit_days)] if audit_log else []


def start_relays(relays: Sequence[Background], stop: threading.Event) -> list[threading.Thread]:
    """Let each work on a thread of its own until `stop` is set."""
    threads = [threading.Thread(target=relay.run, args=(stop,), name=relay.name, daemon=True) for relay in relays]
    for thread in threads:
        thread.start()
    return threads
