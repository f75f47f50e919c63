"""A server whose accounts are kept by the platform's services, which run on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.http import HttpAccounts
from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.platform import Platform, platform
from tests.support.relays import make_relay

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
# Long enough for a machine that is busy, and short enough to wait for.
SECONDS = 2.0


class Hosted(NamedTuple):
    """The server, the platform, and the database that is the server's own."""

    api: Client
    platform: Platform
    database: Database

    def deliver(self) -> int:
        """Let the relay come by; tells how much it delivered."""
        config = self.platform.config()
        return make_relay(self.database, config, None, HttpAccounts(config, seconds=SECONDS)).deliver_due()


@contextmanager
def hosted(database: Database) -> Iterator[Hosted]:
    """Both, without users."""
    with platform() as there, pytest.MonkeyPatch.context() as patch:
        # Nobody waits five seconds for a test.
        patch.setattr("clinic_service.app.chosen_accounts", _impatient)
        app = create_app(there.config(session_secret=SECRET), database, apis=spec_apis())
        yield Hosted(Client(app, SECRET), there, database)


def _impatient(config: Config, _database: Database) -> HttpAccounts:
    return HttpAccounts(config, seconds=SECONDS)
