"""Two clinics to merge. The clock stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.invites import NOW
from tests.support.merges import Pair, make_full_pair, make_pair
from tests.support.rows import storing


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def full(database: Database) -> Pair:
    with storing(database) as unit:
        return make_full_pair(unit)


@pytest.fixture
def pair(database: Database) -> Pair:
    with storing(database) as unit:
        return make_pair(unit)
