"""ViewPDFReport: GET /v1/xealth/report/web/viewer.html"""

from __future__ import annotations

import base64
from datetime import timedelta
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.models import Clinic, Patient
from tests.api.ehr.report_pages import PATH, UNKNOWN, refused, view
from tests.support.cast import ALICE, CAROL, DAVE
from tests.support.errors import assert_error
from tests.support.rows import make_clinic, make_patient, storing
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries
from tests.support.summaries import dates as summary_dates
from tests.support.units import everything, number_of_statements
from tests.support.xealth_server import APPLICATION_URL
from tests.support.xealth_site import MRN, NOW, XealthSite, make_enrolled_patient, make_xealth_clinic


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
    def test_markup_in_a_name_is_shown_as_text(self, site: XealthSite, patient: Patient, token: str, name: str) -> None:
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
    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", ["clinicId", "patientId", "restricted_token"])
    def test_a_parameter_that_is_missing(self, site: XealthSite, patient: Patient, token: str, name: str) -> None:
        query = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": token} | {name: None}
        reply = refused(site, **query)
        assert_error(reply, 400)
        assert [violation["pointer"] for violation in reply.json["errors"]] == [f"/query/{name}"]

    @pytest.mark.one_engine
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
    def test_a_clinic_that_does_not_exist(self, site: XealthSite, token: str, clinic_id: str) -> None:
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
