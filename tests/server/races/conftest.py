"""One pair of servers on each engine for all these files, because a start takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import clear, create_database
from tests.support.races import TwoServers, two_servers


@pytest.fixture(scope="session")
def _sqlite_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServers]:
    folder = tmp_path_factory.mktemp("races")
    with two_servers(folder, f"sqlite:///{folder / 'races.db'}") as pair:
        yield pair


@pytest.fixture(scope="session")
def _postgresql_pair(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[TwoServers]:
    with create_database(postgresql_url) as url, two_servers(tmp_path_factory.mktemp("races"), url) as pair:
        yield pair


@pytest.fixture(scope="module")
def pair(engine_name: str, request: pytest.FixtureRequest) -> Iterator[TwoServers]:
    """Two servers on one database, which is empty before and after the tests of a file."""
    # Those of both engines stay open to the end, as the shared databases do.
    found: TwoServers = request.getfixturevalue(f"_{engine_name}_pair")
    yield found
    clear(found.database)
