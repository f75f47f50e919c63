"""The small application and a clinic, for tests of transactions."""

from __future__ import annotations

import pytest

from clinic_service.config import Config
from clinic_service.db.engine import Database
from tests.support.rows import make_staffed_clinic, storing
from tests.support.small_work import Small


@pytest.fixture
def small(database: Database, config: Config) -> Small:
    return Small(database, config)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id
