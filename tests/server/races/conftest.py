"""One pair of servers on each engine for all these files, because a start takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import clear
from tests.support.races import TwoServers, serving_pair


@pytest.fixture(scope="session")
def _sqlite_pair(request: pytest.FixtureRequest) -> Iterator[TwoServers]:
    with serving_pair("sqlite", request) as pair:
        yield pair


@pytest.fixture(scope="session")
def _postgresql_pair(request: pytest.FixtureRequest) -> Iterator[TwoServers]:
    with serving_pair("postgresql", request) as pair:
        yield pair


@pytest.fixture(scope="module")
def pair(engine_name: str, request: pytest.FixtureRequest) -> Iterator[TwoServers]:
    """Two servers on one database, which is empty before and after the tests of a file."""
    # Those of both engines stay open to the end, as the shared databases do.
    found: TwoServers = request.getfixturevalue(f"_{engine_name}_pair")
    yield found
    clear(found.database)
