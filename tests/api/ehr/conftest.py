"""A server that shares a secret with Redox, as the operations for Redox are tested on."""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.client import Client
from tests.support.ehr import redox_client


@pytest.fixture
def redox(database: Database) -> Client:
    return redox_client(database)
