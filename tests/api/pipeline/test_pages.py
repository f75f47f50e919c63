"""Health: what the server answers about itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.db.schema import downgrade, head, upgrade
from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.gates import wait_until


class TestHealth:
    def test_the_process_is_alive(self, api: Client) -> None:
        reply = api.get("/live")
        assert (reply.status, reply.json) == (200, {"status": "ok"})
        assert reply.headers["Cache-Control"] == "no-store"

    def test_it_is_ready_when_the_schema_is_there(self, api: Client) -> None:
        reply = api.get("/ready")
        assert (reply.status, reply.json) == (200, {"status": "ok"})

    def test_nobody_has_to_sign_in_and_a_bad_token_does_no_harm(self, api: Client) -> None:
        for path in ("/live", "/ready"):
            assert api.get(path, headers={"X-Tidepool-Session-Token": "bad"}).status == 200

    @pytest.fixture
    def own(self, database_url: str) -> Iterator[Client]:
        database = Database(database_url)
        yield Client(
            create_app(Config(database_url=database_url, session_secret=SECRET), database, apis=spec_apis()), SECRET
        )
        database.dispose()

    def test_it_is_not_ready_without_a_schema_or_with_an_older_one(self, own: Client, database_url: str) -> None:
        self._assert_not_ready(own)
        upgrade(database_url)
        # What was found just now is told to everybody who asks just now.
        wait_until(lambda: own.get("/ready").status == 200)
        downgrade(database_url, f"{int(head()) - 1:04d}")
        wait_until(lambda: own.get("/ready").status == 503)
        self._assert_not_ready(own)
        upgrade(database_url)
        wait_until(lambda: own.get("/ready").status == 200)

    def test_a_later_schema_is_fine(self, own: Client, database_url: str) -> None:
        """A later revision is compatible with the release before, which runs on while its successor starts."""
        upgrade(database_url)
        self._set_revision(database_url, f"{int(head()) + 1:04d}")
        assert own.get("/ready").status == 200

    def test_a_schema_of_another_program_is_not(self, own: Client, database_url: str) -> None:
        upgrade(database_url)
        self._set_revision(database_url, "1975ea83b712")
        self._assert_not_ready(own)

    @pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/at/all.db"])
    def test_it_is_not_ready_without_a_database_but_alive(self, url: str) -> None:
        api = Client(
            create_app(Config(database_url=url, session_secret=SECRET), Database(url), apis=spec_apis()), SECRET
        )
        self._assert_not_ready(api)
        assert api.get("/live").status == 200

    def test_it_is_not_ready_while_requests_cannot_be_recorded(self, database_url: str, tmp_path: Path) -> None:
        upgrade(database_url)
        folder, database = tmp_path / "audit", Database(database_url)
        config = Config(database_url=database_url, session_secret=SECRET, audit_folder=str(folder))
        api = Client(create_app(config, database, apis=spec_apis()), SECRET)
        folder.write_text("no folder")
        self._assert_not_ready(api)
        folder.unlink()
        wait_until(lambda: api.get("/ready").status == 200)
        database.dispose()

    @staticmethod
    def _assert_not_ready(api: Client) -> None:
        reply = api.get("/ready")
        assert (reply.status, reply.json) == (503, {"status": "unavailable"})

    @staticmethod
    def _set_revision(database_url: str, revision: str) -> None:
        database = Database(database_url)
        with database.write_engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        database.dispose()
