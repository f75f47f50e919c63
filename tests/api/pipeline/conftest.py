"""The pipeline is the same for every test here, so its application is put together once for each engine."""

from __future__ import annotations

import pytest

from clinic_service.api.routing import LeanFlask
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.errors import spec_apis


@pytest.fixture(scope="session")
def application(shared_database: Database) -> LeanFlask:
    url = shared_database.url.render_as_string(hide_password=False)
    return create_app(Config(database_url=url, session_secret=SECRET), shared_database, apis=spec_apis())


@pytest.fixture
def api(database: Database, application: LeanFlask) -> Client:  # noqa: ARG001 - emptied after each test
    return Client(application, SECRET)
