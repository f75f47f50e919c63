"""XealthGetProgramUrl: PUT /v1/xealth/program"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import delete

from clinic_service import clock
from clinic_service.app import create_app
from clinic_service.config import Config, ConfigError
from clinic_service.db.engine import Database
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.models import EhrSubscription, Patient, RestrictedToken, XealthReportView
from tests.conftest import SECRET
from tests.support.cast import ALICE, CAROL, DAVE, SERVICE
from tests.support.client import Client
from tests.support.databases import open_transactions
from tests.support.errors import assert_error, assert_violations, spec_apis
from tests.support.failing import failing
from tests.support.http_server import Received, Response
from tests.support.rows import make_clinic, make_patient, stored, storing
from tests.support.units import everything, number_of_statements
from tests.support.xealth_server import APPLICATION_URL
from tests.support.xealth_site import (
    AUTHORIZED,
    BIRTH_DATE,
    DEPLOYMENT,
    MRN,
    NOW,
    PROGRAM,
    XealthSite,
    asking,
    ehr_columns,
    make_enrolled_patient,
    make_xealth_clinic,
    xealth_site,
)

VIEWER = f"{APPLICATION_URL}/v1/xealth/report/web/viewer.html"


@pytest.fixture
def patient(site: XealthSite) -> Patient:
    """Carol, who is enrolled."""
    return enrol(site.database)


def enrol(database: Database) -> Patient:
    with storing(database) as unit:
        return make_enrolled_patient(unit, make_xealth_clinic(unit), CAROL)


def request(**rest: Any) -> dict[str, Any]:
    return asking(**rest) | {"programId": PROGRAM}


def query_of(url: str) -> list[tuple[str, str]]:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == VIEWER
    return parse_qsl(parts.query, strict_parsing=True)


def test_the_link_leads_to_the_report_with_a_token_of_the_patient(site: XealthSite, patient: Patient) -> None:
    reply = site.program_url(request())
    assert reply.status == 200
    assert set(reply.json) == {"url"}
    clinic, user, (name, token) = query_of(reply.json["url"])
    assert (clinic, user, name) == (("clinicId", patient.clinic_id), ("patientId", CAROL.id), "restricted_token")
    found = EmbeddedRestrictedTokens(site.database).find(token)
    assert found
    assert (found.user_id, found.paths, found.expires) == (CAROL.id, None, NOW + timedelta(hours=1))


def test_the_view_is_recorded(site: XealthSite, patient: Patient) -> None:
    site.program_url(request())
    [view] = stored(site.database, XealthReportView)
    assert (view.clinic_id, view.patient_id, view.created_time) == (patient.clinic_id, patient.id, NOW)
    assert (view.ehr_user_id, view.system_login) == ("E10422", "bbaker")
    assert (view.deployment, view.program_id) == (DEPLOYMENT, PROGRAM)


@pytest.mark.usefixtures("patient")
def test_each_call_makes_a_token_and_a_view(site: XealthSite) -> None:
    urls = {site.program_url(request()).json["url"] for _ in range(3)}
    assert len(urls) == len(stored(site.database, RestrictedToken)) == len(stored(site.database, XealthReportView)) == 3


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("user", [None, {}, {"userId": ""}, {"systemLogin": "bbaker"}], ids=str)
def test_without_a_user_nobody_has_viewed_it(site: XealthSite, user: Any) -> None:
    body = request()
    body["datasets"]["ehrUserV1"] = user
    assert site.program_url(body).status == 200
    assert stored(site.database, XealthReportView) == []


@pytest.mark.usefixtures("patient")
def test_a_user_may_have_no_login(site: XealthSite) -> None:
    body = request()
    body["datasets"]["ehrUserV1"] = {"userId": "E1"}
    assert site.program_url(body).status == 200
    assert stored(site.database, XealthReportView)[0].system_login is None


@pytest.mark.usefixtures("patient")
def test_texts_as_long_as_the_spec_allows(site: XealthSite) -> None:
    """An index takes no key of any length."""
    long = "é" * 255
    body = request() | {"programId": long}
    body["datasets"]["ehrUserV1"] = {"userId": long, "systemLogin": long}
    assert site.program_url(body).status == 200
    assert len(stored(site.database, XealthReportView)) == 1


@pytest.mark.usefixtures("patient")
def test_the_view_of_any_program_is_recorded(site: XealthSite) -> None:
    assert site.program_url(request() | {"programId": "unheard of"}).status == 200
    assert stored(site.database, XealthReportView)[0].program_id == "unheard of"


@pytest.mark.usefixtures("patient")
def test_a_view_that_cannot_be_recorded_is_no_reason_to_refuse_the_report(
    site: XealthSite, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(site.database, "INSERT INTO xealth_report_views"):
        reply = site.program_url(request())
    assert reply.status == 200
    assert query_of(reply.json["url"])
    assert stored(site.database, XealthReportView) == []
    assert "a view of a report could not be recorded: Defect" in caplog.text
    assert MRN not in caplog.text


@pytest.mark.usefixtures("patient")
def test_a_token_that_cannot_be_stored_is_no_token(site: XealthSite) -> None:
    before = everything(site.database)
    with failing(site.database, "INSERT INTO restricted_tokens"):
        assert_error(site.program_url(request()), 500)
    assert everything(site.database) == before


@pytest.mark.usefixtures("patient")
class TestRefusals:
    def refused(self, site: XealthSite, body: Any, status: int) -> Any:
        before = everything(site.database)
        reply = site.program_url(body)
        assert_error(reply, status)
        assert everything(site.database) == before
        return reply

    @pytest.mark.one_engine
    def test_without_the_secret(self, site: XealthSite) -> None:
        for headers in ({}, {"Authorization": "Bearer another"}):
            assert_error(site.program_url({}, headers=headers), 401)
        for who in (ALICE, SERVICE):
            assert_error(site.program_url(request(), headers={}, as_=who), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
    def test_a_body_that_cannot_be_read(self, site: XealthSite, raw: bytes) -> None:
        assert_error(site.api.put("/v1/xealth/program", headers=AUTHORIZED, data=raw, content_type="text/html"), 400)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", ["programId", "deployment", "patientIdentity", "datasets"])
    def test_a_member_that_is_missing(self, site: XealthSite, name: str) -> None:
        body = {key: value for key, value in request().items() if key != name}
        assert_violations(self.refused(site, body, 400), (f"/body/{name}", "required"))

    @pytest.mark.one_engine
    def test_a_program_without_a_name(self, site: XealthSite) -> None:
        self.refused(site, request() | {"programId": ""}, 400)

    def test_data_of_the_patient_that_are_missing(self, site: XealthSite) -> None:
        body = request()
        del body["datasets"]["demographicsV1"]["birthDate"]
        place = "/body/datasets/demographicsV1/birthDate"
        assert_violations(self.refused(site, body, 400), (place, "required"))

    def test_a_deployment_of_no_clinic(self, site: XealthSite) -> None:
        self.refused(site, request() | {"deployment": "another"}, 404)

    def test_a_deployment_of_several_clinics(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_clinic(unit, **ehr_columns())
        self.refused(site, request(), 409)

    def test_no_patient_who_matches(self, site: XealthSite) -> None:
        self.refused(site, request(mrn="another"), 404)
        self.refused(site, request(birth_date="1987-04-13"), 404)

    def test_several_patients_who_match(self, site: XealthSite, patient: Patient) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(patient.clinic_id)
            make_patient(unit, clinic, DAVE, mrn=MRN.lower(), birth_date=BIRTH_DATE)
        self.refused(site, request(), 422)

    def test_a_patient_without_an_active_subscription(self, site: XealthSite, patient: Patient) -> None:
        """Otherwise whoever knows a number would get a token for any patient of the clinic."""
        with storing(site.database) as unit:
            unit.ehr.deactivate(patient.clinic_id, patient.id)
        self.refused(site, request(), 404)
        with storing(site.database) as unit:
            unit.execute(delete(EhrSubscription))
        self.refused(site, request(), 404)


class TestCost:
    @pytest.mark.parametrize("others", [0, 40])
    def test_is_fixed(self, site: XealthSite, patient: Patient, others: int) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(patient.clinic_id)
            for number in range(others):
                make_patient(unit, clinic, DAVE._replace(id=f"{number:010x}"), mrn=f"A-{number}")
        # Two of them keep the token here.
        assert number_of_statements(site.database, lambda: site.program_url(request())) == 6


@pytest.fixture(scope="module")
def shared_hosted(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database, hosted=True, xealth_report_token_paths="/export, /v1/data") as made:
        yield made


class TestAuthService:
    """Where an auth service makes the tokens."""

    @pytest.fixture
    def hosted(self, shared_hosted: XealthSite, database: Database) -> Iterator[XealthSite]:
        shared_hosted.reset()
        enrol(database)
        with clock.frozen(NOW):
            yield shared_hosted

    def test_the_token_is_its(self, hosted: XealthSite) -> None:
        assert hosted.auth
        reply = hosted.program_url(request())
        [token] = hosted.auth.tokens.values()
        assert dict(query_of(reply.json["url"]))["restricted_token"] == token["id"]
        assert (token["userId"], token["paths"]) == (CAROL.id, ["/export", "/v1/data"])
        assert hosted.auth.calls == [f"POST /v1/users/{CAROL.id}/restricted_tokens"]
        assert stored(hosted.database, RestrictedToken) == []

    def test_nothing_is_locked_while_it_is_asked(self, hosted: XealthSite) -> None:
        assert hosted.auth
        seen: list[int] = []
        hosted.auth.on_bad_days = lambda _: seen.append(open_transactions(hosted.database))
        assert hosted.program_url(request()).status == 200
        assert seen == [0]

    @pytest.mark.parametrize(
        "response",
        [
            pytest.param(Response(500), id="failure"),
            pytest.param(Response(403), id="refusal"),
            pytest.param(Response(302, headers={"location": "/"}), id="redirect"),
            pytest.param(Response(201, body=b"<html>"), id="no JSON"),
            pytest.param(Response(201, json={"id": "x"}), id="no token"),
            pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
            pytest.param(Response(raw=b""), id="hung up"),
            pytest.param(Response(hang=True), id="no answer"),
        ],
    )
    def test_without_a_token_there_is_no_link_and_no_view(
        self, hosted: XealthSite, response: Response, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert hosted.auth
        hosted.auth.on_bad_days = lambda _: response
        before = everything(hosted.database)
        assert_error(hosted.program_url(request()), 502)
        assert everything(hosted.database) == before
        assert all(secret not in caplog.text for secret in (MRN, "session-token-1", "server secret"))
        hosted.auth.on_bad_days = lambda _: None
        assert hosted.program_url(request()).status == 200

    def test_a_session_token_that_ended_early_is_renewed(self, hosted: XealthSite) -> None:
        assert hosted.auth
        hosted.program_url(request())
        hosted.auth.session_token = "session-token-2"
        assert hosted.program_url(request()).status == 200

    def test_it_is_not_asked_for_what_is_refused_here(self, hosted: XealthSite) -> None:
        assert hosted.auth
        for body, status in ((request(mrn="another"), 404), (request() | {"deployment": "x"}, 404), ({}, 400)):
            assert_error(hosted.program_url(body), status)
        assert hosted.auth.server.received == []


@pytest.mark.parametrize(
    ("application_url", "link"),
    [
        ("https://app.example/", "https://app.example/v1/xealth"),
        ("https://app.example/tidepool", "https://app.example/tidepool/v1/xealth"),
    ],
)
@pytest.mark.usefixtures("patient")
def test_the_link_begins_with_the_address_of_the_application(site: XealthSite, application_url: str, link: str) -> None:
    config = site.xealth.config(session_secret=SECRET, application_url=application_url)
    client = Client(create_app(config, site.database, apis=spec_apis()), SECRET)
    reply = client.put("/v1/xealth/program", json=request(), headers=AUTHORIZED)
    assert reply.json["url"].startswith(link)


@pytest.mark.parametrize("paths", ["export", "/a,b", ",".join(f"/{number}" for number in range(11))])
def test_paths_that_a_token_cannot_have(paths: str) -> None:
    with pytest.raises(ConfigError, match="CLINIC_XEALTH_REPORT_TOKEN_PATHS"):
        Config(xealth_report_token_paths=paths)


def test_the_stub_looks_at_what_it_is_asked(site: XealthSite) -> None:
    assert site.xealth.server.answer(Received("GET", "/elsewhere", {}, b"")).status == 401
