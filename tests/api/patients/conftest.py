"""A server whose accounts are kept elsewhere, for the tests of what it does with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.hosted import NOW, Hosted, hosted


@pytest.fixture(scope="module")
def shared_hosted(shared_database: Database) -> Iterator[Hosted]:
    with hosted(shared_database) as made:
        yield made


@pytest.fixture
def server(shared_hosted: Hosted, database: Database) -> Iterator[Hosted]:  # noqa: ARG001 - emptied afterwards
    """The server at `NOW`, with an empty database and a platform without users."""
    shared_hosted.platform.forget()
    with clock.frozen(NOW):
        yield shared_hosted
