"""The application with an identity provider, as AddServiceAccount is tested on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_service.api.audit import Auditor
from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.log import RequestLog
from clinic_service.api.routing import LeanFlask, PlanApi
from clinic_service.audit.log import AuditLog
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.openid import HttpOpenId
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.metrics.counters import Metrics
from clinic_service.preparation import Services
from tests.api.clinicians.service_accounts import SECONDS
from tests.conftest import SECRET
from tests.gateways.identity_provider import IdentityProvider, identity_provider
from tests.support.errors import spec_apis


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: IdentityProvider) -> IdentityProvider:
    """An identity provider that knows one client, and has not been asked yet."""
    running.reset()
    return running


@pytest.fixture(scope="module")
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def impatient_app(
    shared_database: Database, running: IdentityProvider, log: io.StringIO, audit_folder: Path
) -> LeanFlask:
    """The application as `create_app` makes it, but that it waits for the identity provider for a moment only."""
    url = shared_database.url.render_as_string(hide_password=False)
    config = running.config(database_url=url, session_secret=SECRET)
    openid = HttpOpenId(config, seconds=SECONDS)
    services = Services(config, chosen_accounts(config, shared_database), openid)
    auditor = Auditor(AuditLog(audit_folder))
    dispatcher = Dispatcher(shared_database, TokenVerifier.from_config(config), services, auditor)
    app = LeanFlask(RequestLog(log), Metrics(), config)
    for described in spec_apis():
        PlanApi(described, dispatcher, app)
    return app
