"""A server that shares a secret with Redox, as the operations for Redox are tested on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clinic_service.api.routing import LeanFlask
from clinic_service.config import Config
from clinic_service.db.engine import Database
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.client import Client
from tests.support.ehr import REDOX_SECRET


@pytest.fixture(scope="session")
def shared_redox_app(shared_database: Database, shared_config: Config) -> LeanFlask:
    return application(replace(shared_config, redox_verification_token=REDOX_SECRET), shared_database)


@pytest.fixture
def redox(database: Database, shared_redox_app: LeanFlask) -> Client:  # noqa: ARG001 - the database is emptied afterwards
    return Client(shared_redox_app, SECRET)
