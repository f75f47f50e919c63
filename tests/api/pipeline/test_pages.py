"""What the server answers beside the operations."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from sqlalchemy import text
from werkzeug.test import Client as WsgiClient
from werkzeug.test import TestResponse

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.db.schema import downgrade, head, upgrade
from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.gates import wait_until

DOCS = "/docs"


def raw(api: Client, path: str) -> TestResponse:
    """An answer that need not be JSON."""
    return WsgiClient(api.app).get(path)


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


class TestDocuments:
    @pytest.mark.parametrize("number", [0, 1], ids=["clinic.v1", "access.v1"])
    def test_are_the_bundles(self, api: Client, number: int) -> None:
        bundle = spec_apis()[number]
        reply = api.get(f"/openapi/{bundle.name}.json")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.json == orjson.loads(orjson.dumps(bundle.document))

    def test_refer_to_nothing_outside(self, api: Client) -> None:
        for bundle in spec_apis():
            text_of_it = raw(api, f"/openapi/{bundle.name}.json").get_data(as_text=True)
            references = [part.split('"')[1] for part in text_of_it.split('"$ref":')[1:]]
            assert references
            assert all(reference.startswith("#/components/") for reference in references)

    def test_others_do_not_exist(self, api: Client) -> None:
        for path in ("/openapi/clinic.v2.json", "/openapi/", "/openapi.json", "/openapi/..%2fconfig.json"):
            assert api.get(path).status == 404


class TestDocs:
    def test_the_page_is_html_of_this_server_alone(self, api: Client) -> None:
        answer = raw(api, DOCS)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        page = answer.get_data(as_text=True)
        assert page.lstrip().lower().startswith("<!doctype html")
        for source in _sources(page):
            assert "://" not in source
            assert not source.startswith("//")

    def test_everything_the_page_loads_is_there(self, api: Client) -> None:
        sources = _sources(raw(api, DOCS).get_data(as_text=True))
        assert any(source.endswith(".js") for source in sources)
        for source in sources:
            path = source if source.startswith("/") else f"/{source.removeprefix('./')}"
            answer = raw(api, path)
            assert answer.status_code == 200, path
            assert answer.get_data()

    def test_the_browser_is_told_to_load_nothing_else(self, api: Client) -> None:
        policy = raw(api, DOCS).headers["Content-Security-Policy"]
        directives = {name: value for name, _, value in (part.strip().partition(" ") for part in policy.split(";"))}
        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == "'self'"
        assert directives["connect-src"] == "'self'"
        assert directives["frame-ancestors"] == "'none'"
        assert "http" not in policy

    def test_only_the_listed_files_are_served(self, api: Client) -> None:
        for path in ("/docs/", "/docs/docs.html", "/docs/..%2f__init__.py", "/docs/swagger-ui", "/docs/swagger-ui/"):
            assert raw(api, path).status_code == 404


def _sources(page: str) -> list[str]:
    """What `src` and `href` of the page point at, links within it left out."""
    found = [part.split('"')[1] for word in ("src=", "href=") for part in page.split(word)[1:] if part.startswith('"')]
    return [source for source in found if not source.startswith(("#", "data:"))]
