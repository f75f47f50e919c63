"""The report with tokens of another system, and in the viewer of this server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.test import Client as WsgiClient

from clinic_service import clock
from clinic_service.app import create_app
from clinic_service.config import ConfigError
from clinic_service.db.engine import Database
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.models import Patient
from tests.api.ehr.report_pages import PATH, UNKNOWN, Page, refused, view
from tests.conftest import SECRET
from tests.support.cast import CAROL, DAVE
from tests.support.errors import assert_error, spec_apis
from tests.support.http_server import Response
from tests.support.rows import storing
from tests.support.xealth_site import NOW, XealthSite, make_enrolled_patient, make_xealth_clinic, xealth_site


@pytest.fixture
def patient(site: XealthSite) -> Patient:
    """Carol, who is enrolled."""
    with storing(site.database) as unit:
        return make_enrolled_patient(unit, make_xealth_clinic(unit, timezone="US/Eastern"), CAROL)


@pytest.fixture
def token(site: XealthSite) -> str:
    """A token for Carol's data."""
    return EmbeddedRestrictedTokens(site.database).create(CAROL.id).id


@pytest.fixture(scope="module")
def shared_hosted(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database, hosted=True) as made:
        yield made


class TestAuthService:
    """Where an auth service keeps the tokens."""

    @pytest.fixture
    def hosted(self, shared_hosted: XealthSite, database: Database) -> Iterator[XealthSite]:  # noqa: ARG002
        shared_hosted.reset()
        with clock.frozen(NOW):
            yield shared_hosted

    @pytest.fixture
    def patient(self, hosted: XealthSite) -> Patient:
        with storing(hosted.database) as unit:
            return make_enrolled_patient(unit, make_xealth_clinic(unit), CAROL)

    @staticmethod
    def give(hosted: XealthSite, **members: Any) -> None:
        token = {"id": UNKNOWN, "userId": CAROL.id, "expirationTime": "2026-03-02T10:30:00Z"} | members
        assert hosted.auth
        hosted.auth.tokens[UNKNOWN] = token

    def test_it_is_asked_about_the_token(self, hosted: XealthSite, patient: Patient) -> None:
        self.give(hosted)
        assert view(hosted, patient, UNKNOWN).status == 200
        assert hosted.auth
        assert hosted.auth.calls == [f"GET /v1/restricted_tokens/{UNKNOWN}"]

    @pytest.mark.one_engine
    def test_what_cannot_be_a_token_is_not_asked_about(self, hosted: XealthSite, patient: Patient) -> None:
        assert_error(refused(hosted, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token="../x"), 401)
        assert hosted.auth
        assert hosted.auth.server.received == []

    @pytest.mark.one_engine
    @pytest.mark.parametrize("members", [{"userId": DAVE.id}, {"expirationTime": "2026-03-02T09:30:00Z"}], ids=str)
    def test_a_token_that_does_not_fit(self, hosted: XealthSite, patient: Patient, members: Any) -> None:
        self.give(hosted, **members)
        assert_error(refused(hosted, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=UNKNOWN), 401)

    @pytest.mark.one_engine
    def test_a_token_that_it_does_not_know(self, hosted: XealthSite, patient: Patient) -> None:
        assert_error(refused(hosted, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=UNKNOWN), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "response",
        [Response(500), Response(403), Response(200, json=[]), Response(raw=b""), Response(hang=True)],
        ids=repr,
    )
    def test_a_service_that_fails_is_a_bad_gateway(
        self, hosted: XealthSite, patient: Patient, response: Response, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert hosted.auth
        hosted.auth.on_bad_days = lambda _: response
        reply = refused(hosted, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=UNKNOWN)
        assert_error(reply, 502)
        assert UNKNOWN not in caplog.text + str(reply.json)


class TestViewer:
    """With the files of a viewer, which shows reports in place of the browser."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name, text in {
            "web/viewer.html": "<!doctype html>viewer",
            "web/viewer.mjs": "export {}",
            "web/viewer.css": "body{}",
            "web/viewer.html.tmpl": "a template",
            "web/locale/en/viewer.ftl": "x = y",
            "web/images/a b.svg": "<svg/>",
            "build/pdf.worker.mjs": "export {}",
            "wasm/x.wasm": "w",
            "secret": "no type",
        }.items():
            file = tmp_path / "viewer" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / "outside.js").write_text("outside")
        (tmp_path / "viewer" / "link.js").symlink_to(tmp_path / "outside.js")
        return tmp_path / "viewer"

    @pytest.fixture
    def viewer(self, site: XealthSite, folder: Path) -> XealthSite:
        config = site.xealth.config(session_secret=SECRET, xealth_viewer_directory=str(folder), path_prefix="/clinics")
        site.api.app = create_app(config, site.database, apis=spec_apis())
        return site

    @pytest.fixture(autouse=True)
    def _as_before(self, site: XealthSite) -> Iterator[None]:
        app = site.api.app
        yield
        site.api.app = app

    @staticmethod
    def get(site: XealthSite, name: str) -> Any:
        return WsgiClient(site.api.app).get(f"/clinics/v1/xealth/report/viewer/{name}")

    def test_the_page_has_it_in_the_frame(self, viewer: XealthSite, patient: Patient, token: str) -> None:
        query = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": token}
        answer = WsgiClient(viewer.api.app).get(f"/clinics{PATH}", query_string=query)
        page = Page(answer.get_data(as_text=True))
        frame, report = page.attribute("iframe", "src"), page.attribute("a", "href")
        assert frame.startswith("/clinics/v1/xealth/report/viewer/web/viewer.html?")
        assert parse_qsl(urlsplit(frame).query) == [("file", report)]
        assert dict(parse_qsl(urlsplit(report).query))["restricted_token"] == token

    @pytest.mark.parametrize(
        ("name", "media_type"),
        [
            ("web/viewer.html", "text/html; charset=utf-8"),
            ("web/viewer.mjs", "text/javascript; charset=utf-8"),
            ("web/viewer.css", "text/css; charset=utf-8"),
            ("web/images/a%20b.svg", "image/svg+xml"),
            ("wasm/x.wasm", "application/wasm"),
            ("web/locale/en/viewer.ftl", "text/plain; charset=utf-8"),
            ("secret", "application/octet-stream"),
        ],
    )
    def test_its_files_are_served(self, viewer: XealthSite, name: str, media_type: str) -> None:
        answer = self.get(viewer, name)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
        assert answer.headers["Referrer-Policy"] == "no-referrer"

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "name",
        [
            "",
            "web",
            "web/",
            "web/none.js",
            "web/viewer.html.tmpl",
            "link.js",
            "../outside.js",
            "%2e%2e/outside.js",
            "web/../../outside.js",
            "web//viewer.css",
            "/etc/passwd",
            "web%2Fviewer.css%00",
        ],
    )
    def test_names_that_are_no_files_of_the_viewer_are_refused(self, viewer: XealthSite, name: str) -> None:
        assert self.get(viewer, name).status_code == 404

    @pytest.mark.one_engine
    def test_without_them_there_is_nothing(self, site: XealthSite) -> None:
        assert WsgiClient(site.api.app).get("/v1/xealth/report/viewer/web/viewer.html").status_code == 404

    @pytest.mark.parametrize("broken", ["missing", "file", "empty"])
    def test_a_folder_without_a_viewer_stops_the_start(self, site: XealthSite, tmp_path: Path, broken: str) -> None:
        place = tmp_path / broken
        if broken == "file":
            place.write_text("x")
        elif broken == "empty":
            place.mkdir()
        config = site.xealth.config(session_secret=SECRET, xealth_viewer_directory=str(place))
        with pytest.raises(ConfigError, match="CLINIC_XEALTH_VIEWER_DIRECTORY"):
            create_app(config, site.database, apis=spec_apis())
