"""Servers that share a secret with Redox or Xealth, as the operations for the two are tested on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.client import Client
from tests.support.ehr import redox_client
from tests.support.xealth_site import DEPLOYMENT, NOW, ORDER_ID, XealthSite, order, xealth_site


@pytest.fixture
def redox(database: Database) -> Client:
    return redox_client(database)


@pytest.fixture(scope="module")
def shared_site(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database) as made:
        yield made


@pytest.fixture
def site(shared_site: XealthSite, database: Database) -> Iterator[XealthSite]:  # noqa: ARG001 - emptied afterwards
    """A server of Xealth's clinics, and a Xealth that has one order. The clock stands still."""
    shared_site.reset()
    shared_site.xealth.orders[DEPLOYMENT, ORDER_ID] = order()
    with clock.frozen(NOW):
        yield shared_site
