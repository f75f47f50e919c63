"""ViewPDFReport: GET /v1/xealth/report/web/viewer.html"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.test import Client as WsgiClient

from clinic_service import clock
from clinic_service.app import create_app
from clinic_service.config import ConfigError
from clinic_service.db.engine import Database
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.models import Clinic, Patient
from tests.conftest import SECRET
from tests.support.cast import ALICE, CAROL, DAVE
from tests.support.client import Reply
from tests.support.errors import assert_error, spec_apis
from tests.support.http_server import Response
from tests.support.rows import make_clinic, make_patient, storing
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries
from tests.support.summaries import dates as summary_dates
from tests.support.units import everything, number_of_statements
from tests.support.xealth_server import APPLICATION_URL
from tests.support.xealth_site import (
    MRN,
    NOW,
    XealthSite,
    make_enrolled_patient,
    make_xealth_clinic,
    xealth_site,
)

PATH = "/v1/xealth/report/web/viewer.html"
UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def shared_site(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database) as made:
        yield made


@pytest.fixture
def site(shared_site: XealthSite, database: Database) -> Iterator[XealthSite]:  # noqa: ARG001 - emptied afterwards
    shared_site.reset()
    with clock.frozen(NOW):
        yield shared_site


@pytest.fixture
def patient(site: XealthSite) -> Patient:
    """Carol, who is enrolled."""
    with storing(site.database) as unit:
        return make_enrolled_patient(unit, make_xealth_clinic(unit, timezone="US/Eastern"), CAROL)


@pytest.fixture
def token(site: XealthSite) -> str:
    """A token for Carol's data."""
    return EmbeddedRestrictedTokens(site.database).create(CAROL.id).id


def change(site: XealthSite, row: Patient | Clinic, **values: Any) -> None:
    with storing(site.database) as unit:
        stored_row = unit.session.merge(row)
        for name, value in values.items():
            setattr(stored_row, name, value)


class Page(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = f"/{tag}"

    def handle_data(self, data: str) -> None:
        self.texts[self._in] = self.texts.get(self._in, "") + data

    def attribute(self, tag: str, name: str) -> str:
        [value] = [attributes[name] for element, attributes in self.elements if element == tag]
        assert value
        return value


class Answer(NamedTuple):
    status: int
    text: str
    headers: Any

    @property
    def page(self) -> Page:
        assert self.status == 200, self.text
        return Page(self.text)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the report."""
        return parse_qsl(urlsplit(self.page.attribute("iframe", "src")).query, strict_parsing=True)


def view(site: XealthSite, patient: Patient, token: str, **query: Any) -> Answer:
    given = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": token} | query
    answer = WsgiClient(site.api.app).get(PATH, query_string=given)
    return Answer(answer.status_code, answer.get_data(as_text=True), answer.headers)


def refused(site: XealthSite, **query: Any) -> Reply:
    return site.api.get(PATH, query_string={name: value for name, value in query.items() if value is not None})


class TestPage:
    def test_shows_the_report_in_a_frame(self, site: XealthSite, patient: Patient, token: str) -> None:
        before = everything(site.database)
        answer = view(site, patient, token)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        frame = answer.page.attribute("iframe", "src")
        assert frame.startswith(f"{APPLICATION_URL}/export/report/{CAROL.id}?")
        assert answer.page.attribute("a", "href") == frame
        assert answer.query == [
            ("bgUnits", "mg/dL"),
            ("dob", "1987-04-12"),
            ("fullName", "Carol Cooper"),
            ("inline", "true"),
            ("mrn", MRN),
            ("reports", "all"),
            ("restricted_token", token),
            ("tzName", "US/Eastern"),
            ("userId", CAROL.id),
        ]
        assert "fullName=Carol+Cooper" in frame
        assert everything(site.database) == before

    def test_keeps_its_address_to_itself(self, site: XealthSite, patient: Patient, token: str) -> None:
        answer = view(site, patient, token)
        assert answer.headers.getlist("Cache-Control") == ["no-store"]
        assert answer.headers.getlist("Referrer-Policy") == ["no-referrer"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.page.attribute("iframe", "referrerpolicy") == "no-referrer"
        assert answer.page.attribute("a", "rel") == "noopener noreferrer"

    def test_runs_no_script_and_loads_nothing_but_the_report(
        self, site: XealthSite, patient: Patient, token: str
    ) -> None:
        answer = view(site, patient, token)
        [policy] = answer.headers.getlist("Content-Security-Policy")
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        style = base64.b64encode(sha256(answer.page.texts["style"].encode()).digest()).decode()
        assert directives == {
            "default-src": "'none'",
            "style-src": f"'sha256-{style}'",
            "frame-src": f"'self' {APPLICATION_URL}",
            "base-uri": "'none'",
            "form-action": "'none'",
        }
        assert {tag for tag, _ in answer.page.elements} == {
            *("html", "head", "meta", "title", "style", "body", "iframe", "p", "a")
        }
        attributes = {name for _, given in answer.page.elements for name in given}
        assert not any(name.startswith("on") or name == "style" for name in attributes)

    @pytest.mark.parametrize(
        "name", ['"><script>alert(1)</script>', "</script><script>", 'O\'Brien & "Söhne" <x>', "a&restricted_token=b#c"]
    )
    def test_a_name_stays_a_name(self, site: XealthSite, patient: Patient, token: str, name: str) -> None:
        change(site, patient, full_name=name, mrn=name)
        answer = view(site, patient, token)
        assert {tag for tag, _ in answer.page.elements} & {"script"} == set()
        assert "<script" not in answer.text
        assert dict(answer.query) | {"fullName": name, "mrn": name} == dict(answer.query)
        assert [value for key, value in answer.query if key == "restricted_token"] == [token]

    def test_has_no_period_without_data(self, site: XealthSite, patient: Patient, token: str) -> None:
        assert {"startDate", "endDate"} & dict(view(site, patient, token).query).keys() == set()

    def test_has_the_14_days_before_the_latest_data(self, site: XealthSite, patient: Patient, token: str) -> None:
        random = Random(4711)
        older = summary_dates(random, lastData="2026-02-20T10:00:00.000Z")
        newer = summary_dates(random, lastData="2026-02-27T22:15:59.999Z")
        with storing(site.database) as unit:
            put_summaries(unit, CAROL, cgmStats=cgm_stats(random, dates=older), bgmStats=bgm_stats(random, dates=newer))
        query = dict(view(site, patient, token).query)
        assert (query["startDate"], query["endDate"]) == ("2026-02-13T22:15:59Z", "2026-02-27T22:15:59Z")
        names = list(query)
        assert names == sorted(names, key=str.lower)

    def test_leaves_out_what_the_clinic_has_not_chosen(self, site: XealthSite, patient: Patient, token: str) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(patient.clinic_id)
        change(site, clinic, timezone=None, preferred_bg_units=None)
        assert {"tzName", "bgUnits"} & dict(view(site, patient, token).query).keys() == set()

    def test_is_shown_again_as_long_as_the_token_is_good(self, site: XealthSite, patient: Patient, token: str) -> None:
        for minutes in (1, 59):
            with clock.frozen(NOW + timedelta(minutes=minutes)):
                assert view(site, patient, token).status == 200

    def test_no_session_is_needed_and_none_helps(self, site: XealthSite, patient: Patient, token: str) -> None:
        query = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": UNKNOWN}
        assert_error(site.api.get(PATH, as_=ALICE, query_string=query), 401)
        assert view(site, patient, token).status == 200


class TestRefusals:
    @pytest.mark.parametrize("name", ["clinicId", "patientId", "restricted_token"])
    def test_a_parameter_that_is_missing(self, site: XealthSite, patient: Patient, token: str, name: str) -> None:
        query = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": token} | {name: None}
        reply = refused(site, **query)
        assert_error(reply, 400)
        assert [violation["pointer"] for violation in reply.json["errors"]] == [f"/query/{name}"]

    @pytest.mark.parametrize("name", ["clinicId", "patientId", "restricted_token"])
    def test_a_parameter_that_no_store_can_hold(
        self, site: XealthSite, patient: Patient, token: str, name: str
    ) -> None:
        query = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": token} | {name: "a\x00b"}
        assert_error(refused(site, **query), 400)

    @pytest.mark.parametrize("bad", ["", "x", "A" * 32, "a" * 31, "a" * 33, f"{'a' * 31}\n", "é" * 32, UNKNOWN])
    def test_a_token_that_is_none(self, site: XealthSite, patient: Patient, bad: str) -> None:
        assert_error(refused(site, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=bad), 401)

    def test_a_token_that_has_expired(self, site: XealthSite, patient: Patient, token: str) -> None:
        with clock.frozen(NOW + timedelta(hours=1)):
            assert_error(refused(site, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=token), 401)

    def test_a_token_of_somebody_else(self, site: XealthSite, patient: Patient) -> None:
        daves = EmbeddedRestrictedTokens(site.database).create(DAVE.id).id
        assert_error(refused(site, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=daves), 401)

    def test_the_token_is_judged_first(self, site: XealthSite) -> None:
        assert_error(refused(site, clinicId="0" * 24, patientId=CAROL.id, restricted_token=UNKNOWN), 401)

    @pytest.mark.parametrize("clinic_id", ["0" * 24, "x", "", "5f0c7d1e9a3b4c6d8e2f1a0b\n"])
    def test_a_clinic_that_is_none(self, site: XealthSite, token: str, clinic_id: str) -> None:
        assert_error(refused(site, clinicId=clinic_id, patientId=CAROL.id, restricted_token=token), 404)

    @pytest.mark.usefixtures("patient")
    def test_a_patient_of_another_clinic(self, site: XealthSite, token: str) -> None:
        with storing(site.database) as unit:
            other = make_clinic(unit).id
        assert_error(refused(site, clinicId=other, patientId=CAROL.id, restricted_token=token), 404)

    @pytest.mark.parametrize("patient_id", ["", "é", "ca401c0003\n"])
    def test_a_patient_who_cannot_be_one(self, site: XealthSite, patient: Patient, token: str, patient_id: str) -> None:
        assert_error(refused(site, clinicId=patient.clinic_id, patientId=patient_id, restricted_token=token), 401)

    def test_a_clinic_without_settings(self, site: XealthSite, token: str) -> None:
        with storing(site.database) as unit:
            clinic = make_clinic(unit)
            make_patient(unit, clinic, CAROL)
        assert_error(refused(site, clinicId=clinic.id, patientId=CAROL.id, restricted_token=token), 401)

    def test_a_clinic_that_is_no_longer_enabled(self, site: XealthSite, patient: Patient, token: str) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(patient.clinic_id)
        change(site, clinic, ehr_enabled=False)
        assert_error(refused(site, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=token), 401)

    def test_a_subscription_that_has_ended(self, site: XealthSite, patient: Patient, token: str) -> None:
        with storing(site.database) as unit:
            unit.ehr.deactivate(patient.clinic_id, patient.id)
        assert_error(refused(site, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=token), 401)

    @pytest.mark.parametrize("name", ["birth_date", "mrn", "full_name"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_a_record_that_lacks_something(
        self, site: XealthSite, patient: Patient, token: str, name: str, value: str | None
    ) -> None:
        change(site, patient, **{name: value})
        assert_error(refused(site, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=token), 422)


def test_the_cost_is_fixed(site: XealthSite, patient: Patient, token: str) -> None:
    query = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": token}
    assert number_of_statements(site.database, lambda: site.api.get(PATH, query_string=query)) == 5


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

    def test_what_cannot_be_a_token_is_not_asked_about(self, hosted: XealthSite, patient: Patient) -> None:
        assert_error(refused(hosted, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token="../x"), 401)
        assert hosted.auth
        assert hosted.auth.server.received == []

    @pytest.mark.parametrize("members", [{"userId": DAVE.id}, {"expirationTime": "2026-03-02T09:30:00Z"}], ids=str)
    def test_a_token_that_does_not_fit(self, hosted: XealthSite, patient: Patient, members: Any) -> None:
        self.give(hosted, **members)
        assert_error(refused(hosted, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=UNKNOWN), 401)

    def test_a_token_that_it_does_not_know(self, hosted: XealthSite, patient: Patient) -> None:
        assert_error(refused(hosted, clinicId=patient.clinic_id, patientId=CAROL.id, restricted_token=UNKNOWN), 401)

    @pytest.mark.parametrize(
        "response",
        [Response(500), Response(403), Response(200, json=[]), Response(raw=b""), Response(hang=True)],
        ids=repr,
    )
    def test_it_fails(
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
    def test_nothing_else_is(self, viewer: XealthSite, name: str) -> None:
        assert self.get(viewer, name).status_code == 404

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
