from __future__ import annotations

from collections.abc import Iterator

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.ehr.exchange import NOW, Exchange
from tests.support.redox import Redox, redox_server


@pytest.fixture
def redox() -> Iterator[Redox]:
    with redox_server() as running:
        yield running


@pytest.fixture
def exchange(database: Database, redox: Redox) -> Iterator[Exchange]:
    with clock.frozen(NOW):
        yield Exchange(database, redox)
