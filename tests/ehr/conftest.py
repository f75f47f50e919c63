from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.ehr.exchange import NOW, Exchange
from tests.support.redox import Redox, redox_server


@pytest.fixture(scope="package", autouse=True)
def _keys_are_read_once() -> Iterator[None]:
    """Each test starts several relays, and to check a key takes 40 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clinic_service.gateways.redox.load_pem_private_key", cache(load_pem_private_key))
        yield


@pytest.fixture
def redox() -> Iterator[Redox]:
    with redox_server() as running:
        yield running


@pytest.fixture
def exchange(database: Database, redox: Redox) -> Iterator[Exchange]:
    with clock.frozen(NOW):
        yield Exchange(database, redox)
