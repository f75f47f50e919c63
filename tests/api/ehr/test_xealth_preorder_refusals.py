"""Preorders that are refused, and those of unknown clinics."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.api.ehr.preorders import add_patient, form, preorders
from tests.support.cast import ALICE, DAVE, SERVICE
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_patient, storing
from tests.support.units import everything
from tests.support.xealth_site import (
    AUTHORIZED,
    DEPLOYMENT,
    MRN,
    XealthSite,
    ehr_columns,
    make_xealth_clinic,
    preorder,
    with_input,
)


@pytest.fixture
def clinic_id(site: XealthSite) -> str:
    with storing(site.database) as unit:
        return make_xealth_clinic(unit).id


@pytest.mark.usefixtures("clinic_id")
class TestRefusals:
    @pytest.mark.one_engine
    def test_without_the_secret(self, site: XealthSite) -> None:
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic secret of Xealth"}):
            assert_error(site.preorder({}, headers=headers), 401)
        for who in (ALICE, SERVICE):
            assert_error(site.preorder(preorder(), headers={}, as_=who), 401)

    @pytest.mark.one_engine
    def test_the_scheme_is_not_case_sensitive(self, site: XealthSite) -> None:
        assert_error(site.preorder({}, headers={"Authorization": "bearer secret of Xealth"}), 400)

    def test_a_session_token_beside_the_secret_is_ignored(self, site: XealthSite) -> None:
        assert site.preorder(preorder(), headers={**AUTHORIZED, "X-Tidepool-Session-Token": "bad"}).status == 200

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
    def test_the_content_type_does_not_matter(self, site: XealthSite, content_type: Any) -> None:
        reply = site.api.post(
            "/v1/xealth/preorder", headers=AUTHORIZED, data=orjson.dumps(preorder()), content_type=content_type
        )
        assert form(reply)["formId"] == "patient_enrollment_form"

    @pytest.mark.one_engine
    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"a": "\\u0000"}'])
    def test_a_body_that_cannot_be_read(self, site: XealthSite, raw: bytes) -> None:
        before = everything(site.database)
        reply = site.api.post("/v1/xealth/preorder", headers=AUTHORIZED, data=raw, content_type="application/json")
        assert_error(reply, 400)
        assert everything(site.database) == before

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "name", ["eventType", "eventContext", "deployment", "patientIdentity", "datasets"], ids=str
    )
    def test_a_member_that_is_missing(self, site: XealthSite, name: str) -> None:
        body = {key: value for key, value in preorder().items() if key != name}
        assert_violations(site.preorder(body), (f"/body/{name}", "required"))

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"eventType": "order"}, "/body/eventType"),
            ({"eventContext": "final"}, "/body/eventContext"),
            ({"deployment": 7}, "/body/deployment"),
            ({"datasets": []}, "/body/datasets"),
            ({"datasets": None}, "/body/datasets"),
            ({"patientIdentity": {}}, "/body/patientIdentity/ids"),
        ],
        ids=str,
    )
    def test_a_member_that_is_not_as_it_should_be(self, site: XealthSite, change: Any, place: str) -> None:
        reply = site.preorder(preorder() | change)
        assert_error(reply, 400)
        assert reply.json["errors"][0]["pointer"] == place

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            (lambda body: body["datasets"].pop("demographicsV1"), "/body/datasets/demographicsV1"),
            (lambda body: body["datasets"].update(demographicsV1={}), "/body/datasets/demographicsV1"),
            (lambda body: body["patientIdentity"].update(ids=[]), "/body/patientIdentity/ids"),
            (lambda body: body["patientIdentity"]["ids"].pop(), "/body/patientIdentity/ids"),
            (lambda body: body["patientIdentity"]["ids"][1].update(id=""), "/body/patientIdentity/ids"),
            (lambda body: body["patientIdentity"]["ids"][1].update(id="  "), "/body/patientIdentity/ids"),
            (lambda body: body["patientIdentity"]["ids"][1].pop("id"), "/body/patientIdentity/ids"),
            (lambda body: demographics(body).pop("birthDate"), "/body/datasets/demographicsV1/birthDate"),
            (lambda body: demographics(body).update(birthDate="1987-02-30"), "/body/datasets/demographicsV1/birthDate"),
            (lambda body: demographics(body).pop("name"), "/body/datasets/demographicsV1/name"),
            (lambda body: demographics(body).update(name={"given": [" "]}), "/body/datasets/demographicsV1/name"),
        ],
    )
    def test_data_of_the_patient_that_are_missing(self, site: XealthSite, change: Any, place: str) -> None:
        body = preorder()
        change(body)
        reply = site.preorder(body)
        assert_error(reply, 400)
        assert [violation["pointer"] for violation in reply.json["errors"]] == [place]

    def test_the_first_number_of_the_kind_counts(self, site: XealthSite) -> None:
        body = preorder()
        body["patientIdentity"]["ids"].insert(0, {"type": "MRN", "id": ""})
        assert_violations(site.preorder(body), ("/body/patientIdentity/ids", "required"))

    @pytest.mark.one_engine
    @pytest.mark.parametrize("form_data", [None, {}, {"dataTrackingId": ""}, {"dataTrackingId": None}])
    def test_an_input_needs_the_id_of_its_form(self, site: XealthSite, form_data: Any) -> None:
        assert_error(site.preorder(preorder("subsequent") | {"formData": form_data}), 400)
        assert_error(site.preorder(preorder("subsequent")), 400)
        assert preorders(site) == []

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "entered",
        [
            7,
            [],
            "x",
            {"patient": []},
            {"patient": {"connectDexcom": "true"}},
            {"patient": {"email": 7}},
            {"tags": {"ids": "x"}},
            {"tags": {"ids": [7]}},
        ],
        ids=str,
    )
    def test_an_input_of_the_wrong_type(self, site: XealthSite, entered: Any) -> None:
        assert_error(site.preorder(with_input(entered)), 400)
        assert preorders(site) == []

    def test_a_deployment_of_several_clinics(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_clinic(unit, **ehr_columns())
        for body in (preorder(), with_input({})):
            assert_error(site.preorder(body), 409)

    def test_several_patients_with_the_number(self, site: XealthSite, clinic_id: str) -> None:
        add_patient(site, clinic_id)
        with storing(site.database) as unit:
            make_patient(unit, unit.clinics.get(clinic_id), DAVE, mrn=MRN.lower())
        for body in (preorder(), with_input({})):
            assert_error(site.preorder(body), 422)
        assert preorders(site) == []

    @pytest.mark.parametrize("change", [{"origin": "unheard of"}, {"ehrView": 7}, {"orderSource": ["x"]}], ids=str)
    def test_members_that_are_not_used_may_be_anything(self, site: XealthSite, change: Any) -> None:
        assert site.preorder(preorder() | change).status == 200


def demographics(body: Any) -> Any:
    return body["datasets"]["demographicsV1"]


class TestNoClinic:
    @pytest.mark.parametrize(
        "ehr",
        [{"sourceId": "other"}, {"enabled": False}, {"provider": "redox"}, {"sourceId": DEPLOYMENT.upper()}],
        ids=str,
    )
    def test_a_deployment_of_no_clinic(self, site: XealthSite, ehr: Any) -> None:
        with storing(site.database) as unit:
            make_xealth_clinic(unit, ehr=ehr)
        assert_error(site.preorder(preorder()), 404)
        assert_error(site.preorder(with_input({})), 404)

    @pytest.mark.one_engine
    def test_a_deployment_that_is_empty(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_xealth_clinic(unit, ehr={"sourceId": ""})
        assert_error(site.preorder(preorder() | {"deployment": ""}), 404)

    def test_the_clinic_is_looked_for_before_the_patient(self, site: XealthSite) -> None:
        body = preorder()
        body["patientIdentity"]["ids"] = []
        assert_error(site.preorder(body), 404)
