"""Both engines for every test that touches a database, the application on top of them, and a client to call it."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clinic_service import clock
from clinic_service.api.routing import LeanFlask
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from tests.support.applications import application
from tests.support.client import Client
from tests.support.clocks import NOW
from tests.support.clusters import CLUSTER_URL, create_distributed_database
from tests.support.databases import clear, create_database, empty_database, postgresql_server

# A failed assertion of a shared suite shows its values, as that of a test file does.
pytest.register_assert_rewrite("tests.support.labels")

SECRET = "a secret of the tests, at least 32 bytes long"


# The tests start several hundred processes. With this variable, each of them would compile the program again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the tests that are marked `one_engine` on SQLite only.

    The mark is for what is decided before a statement is sent, or from rows that the tests of both engines have compared.
    """
    left_out = {item for item in items if item.get_closest_marker("one_engine") and _engine(item) == "postgresql"}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_xdist_auto_num_workers() -> int:
    """Half as many processes again as cores, because tests wait: for deadlines, for PostgreSQL, for other processes."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def _engine(item: pytest.Item) -> object:
    call = getattr(item, "callspec", None)
    return call.params.get("engine_name") if call else None


def pytest_collection_finish() -> None:
    """What is imported and collected stays to the end: looking for garbage in it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The address of a PostgreSQL server, or of the coordinator of a cluster: that of `CLINIC_TEST_DATABASE_URL` or
    `CLINIC_TEST_CITUS_URL`. Without both, one that all processes of this run share.
    """
    given = CLUSTER_URL or os.environ.get("CLINIC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    own = tmp_path_factory.getbasetemp()
    with postgresql_server(own if worker_id == "master" else own.parent) as url:
        yield url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, empty database of its own; for tests of revisions and of whole processes."""
    with empty_database(engine_name, tmp_path, request) as url:
        yield url


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    upgrade(url)
    # As many connections as a test lets requests meet.
    database = Database(url, sqlite_synchronous="NORMAL", pool_size=4)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def _shared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with _opened(f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'shared.db'}") as database:
        yield database


@pytest.fixture(scope="session")
def _shared_postgresql(postgresql_url: str) -> Iterator[Database]:
    create = create_distributed_database if CLUSTER_URL else create_database
    with create(postgresql_url) as url, _opened(url) as database:
        yield database


@pytest.fixture(scope="session")
def shared_database(engine_name: str, request: pytest.FixtureRequest) -> Database:
    """One database for all tests of this process, at the newest revision.

    Those of both engines stay open to the end, since tests of the two follow each other by turns.
    """
    opened: Database = request.getfixturevalue(f"_shared_{engine_name}")
    return opened


@pytest.fixture
def database(shared_database: Database) -> Iterator[Database]:
    """The shared database, empty."""
    yield shared_database
    clear(shared_database)


@pytest.fixture(scope="session", autouse=True)
def audit_folder() -> Iterator[Path]:
    """The folder of audit files: in memory where there is such a folder, because each answer waits for the disk."""
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="clinic-service-", dir=parent) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_STATE_HOME", folder)
        yield Path(folder) / "shared"


@pytest.fixture(scope="session")
def shared_config(shared_database: Database, audit_folder: Path) -> Config:
    url = shared_database.url.render_as_string(hide_password=False)
    return Config(database_url=url, session_secret=SECRET, audit_folder=str(audit_folder))


@pytest.fixture(scope="session")
def shared_app(shared_database: Database, shared_config: Config) -> LeanFlask:
    """The whole application."""
    return application(shared_config, shared_database)


@pytest.fixture
def config(shared_config: Config) -> Config:
    return shared_config


@pytest.fixture
def api(database: Database, shared_app: LeanFlask) -> Client:  # noqa: ARG001 - the database is emptied afterwards
    """A client of the whole application; answers are checked against the spec in enforce mode."""
    return Client(shared_app, SECRET)


@pytest.fixture
def frozen_clock() -> Iterator[None]:
    """The clock of the service stands still at `NOW`."""
    with clock.frozen(NOW):
        yield
