"""XealthPreorder: POST /v1/xealth/preorder"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from tests.api.ehr.preorders import add_patient, form, preorders
from tests.support.cast import ALICE, CAROL, DAVE
from tests.support.client import Reply
from tests.support.rows import make_account, make_clinic, make_patient, make_tag, storing
from tests.support.units import everything, number_of_statements
from tests.support.xealth_site import (
    BIRTH_DATE,
    CHILD_BIRTH_DATE,
    DEPLOYMENT,
    EMAIL,
    MRN,
    NOW,
    TRACKING_ID,
    XealthSite,
    ehr_columns,
    make_xealth_clinic,
    preorder,
    with_input,
)

GUARDIAN = {"firstName": "Gwen", "lastName": "Cooper"}


@pytest.fixture
def clinic_id(site: XealthSite) -> str:
    with storing(site.database) as unit:
        return make_xealth_clinic(unit).id


def assert_error_form(reply: Reply, paragraphs: int, entered: Any) -> None:
    assert (form(reply)["formId"], reply.json["notOrderable"]) == ("error_form", True)
    assert len(form(reply)["formSchema"]["properties"]) == paragraphs
    assert form(reply)["formData"] == entered


@pytest.mark.usefixtures("clinic_id")
class TestInitial:
    def test_the_form_of_a_new_patient(self, site: XealthSite) -> None:
        before = everything(site.database)
        reply = site.preorder(preorder())
        assert form(reply)["formId"] == "patient_enrollment_form"
        assert form(reply)["formSchema"]["title"] == "Add Carol Cooper to Tidepool"
        assert form(reply)["formData"] == {"patient": {"email": EMAIL}}
        assert reply.json["notOrderable"] is False
        assert everything(site.database) == before

    def test_the_form_of_a_new_patient_who_is_a_child(self, site: XealthSite) -> None:
        reply = site.preorder(preorder(birth_date=CHILD_BIRTH_DATE))
        assert form(reply)["formId"] == "guardian_enrollment_form"
        assert form(reply)["formData"] == {"guardian": {}}

    def test_each_form_has_an_id_of_its_own(self, site: XealthSite) -> None:
        ids = {site.preorder(preorder()).json["dataTrackingId"] for _ in range(3)}
        assert len(ids) == 3

    def test_tags_stand_in_order_of_their_names(self, site: XealthSite, clinic_id: str) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(clinic_id)
            ids = {name: make_tag(unit, clinic, name).id for name in ("pump", "Adults", "Émile", "zeta", "Zeta 2")}
            make_tag(unit, make_clinic(unit), "of another clinic")
        names = ["Adults", "Zeta 2", "pump", "zeta", "Émile"]
        definition = form(site.preorder(preorder()))["formSchema"]["definitions"]["tags"]
        assert definition == {"enum": [ids[name] for name in names], "enumNames": names}

    def test_there_is_nothing_to_ask_about_a_patient_who_is_known(self, site: XealthSite, clinic_id: str) -> None:
        add_patient(site, clinic_id)
        reply = site.preorder(preorder())
        assert (reply.status, reply.json) == (200, {})

    @pytest.mark.parametrize("birth_date", ["1987-04-13", None], ids=["other", "unknown"])
    def test_a_patient_with_another_date_of_birth_rules_the_order_out(
        self, site: XealthSite, clinic_id: str, birth_date: str | None
    ) -> None:
        add_patient(site, clinic_id, birth_date=birth_date)
        assert_error_form(site.preorder(preorder()), 4, {})

    @pytest.mark.parametrize(
        ("stored_mrn", "sent"), [("mrn-20417", "MRN-20417"), ("Mrn-20417", "mRN-20417"), ("José 1", "JOSE 1")]
    )
    def test_numbers_are_compared_without_case_and_accents(
        self, site: XealthSite, clinic_id: str, stored_mrn: str, sent: str
    ) -> None:
        add_patient(site, clinic_id, mrn=stored_mrn)
        assert site.preorder(preorder(mrn=sent)).json == {}

    @pytest.mark.parametrize("sent", ["MRN 20417", "MRN-20417 ", "MRN20417"])
    def test_spaces_and_punctuation_count(self, site: XealthSite, clinic_id: str, sent: str) -> None:
        add_patient(site, clinic_id)
        assert form(site.preorder(preorder(mrn=sent)))["formId"] == "patient_enrollment_form"

    def test_a_patient_of_another_clinic_is_none_here(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            other = make_clinic(unit, **ehr_columns(sourceId="hilltop-prod"))
            make_patient(unit, other, CAROL, mrn=MRN, birth_date=BIRTH_DATE)
        assert form(site.preorder(preorder()))["formId"] == "patient_enrollment_form"

    def test_names_and_addresses_are_taken_together(self, site: XealthSite) -> None:
        body = preorder(given=["Carol", "Ann"], family=["van", "Cooper"])
        assert form(site.preorder(body))["formSchema"]["title"] == "Add Carol Ann van Cooper to Tidepool"
        assert form(site.preorder(preorder(email=None)))["formData"] == {"patient": {}}
        only_family = preorder(given=[], family=["Cher"])
        assert form(site.preorder(only_family))["formSchema"]["title"] == "Add Cher to Tidepool"


@pytest.mark.usefixtures("clinic_id")
class TestAge:
    @pytest.mark.parametrize(
        ("birth_date", "now", "is_child"),
        [
            ("2013-03-02", datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC), True),
            ("2013-03-02", datetime(2026, 3, 2, 0, 0, tzinfo=UTC), False),
            # Whoever was born on 29 February has the birthday on 1 March in a common year.
            ("2012-02-29", datetime(2025, 2, 28, 23, 59, 59, tzinfo=UTC), True),
            ("2012-02-29", datetime(2025, 3, 1, 0, 0, tzinfo=UTC), False),
            ("9999-12-31", NOW, True),
        ],
    )
    def test_a_child_is_one_until_the_13th_birthday(
        self, site: XealthSite, birth_date: str, now: datetime, is_child: bool
    ) -> None:
        with clock.frozen(now):
            form_id = form(site.preorder(preorder(birth_date=birth_date)))["formId"]
        assert form_id == ("guardian_enrollment_form" if is_child else "patient_enrollment_form")

    def test_the_age_decides_and_not_the_form_that_was_shown(self, site: XealthSite) -> None:
        body = with_input({"guardian": GUARDIAN}, birth_date=CHILD_BIRTH_DATE)
        assert body["formData"]["formId"] == "patient_enrollment_form"
        assert site.preorder(body).json == {}
        assert preorders(site)[0].guardian_first_name == "Gwen"


@pytest.mark.usefixtures("clinic_id")
class TestInput:
    def test_of_the_patient_form_is_stored(self, site: XealthSite, clinic_id: str) -> None:
        entered = {
            "patient": {"email": " Carol@Mail.Example ", "connectAbbott": True, "connectDexcom": False},
            "tags": {"ids": ["65f1c0de0a1b2c3d4e5f6a01", "anything"]},
        }
        reply = site.preorder(with_input(entered))
        assert (reply.status, reply.json) == (200, {})
        [made] = preorders(site)
        assert (made.clinic_id, made.data_tracking_id, made.deployment, made.mrn) == (
            clinic_id,
            TRACKING_ID,
            DEPLOYMENT,
            MRN,
        )
        assert (made.email, made.connect_abbott, made.connect_dexcom) == (EMAIL, True, False)
        assert made.tag_ids == ["65f1c0de0a1b2c3d4e5f6a01", "anything"]
        assert (made.guardian_first_name, made.guardian_last_name, made.used_time) == (None, None, None)
        assert (made.created_time, made.updated_time) == (NOW, NOW)

    def test_of_the_guardian_form_is_stored(self, site: XealthSite) -> None:
        entered = {"guardian": {"firstName": " Gwen ", "lastName": "Cooper", "email": "gwen@mail.example"}}
        assert site.preorder(with_input(entered, birth_date=CHILD_BIRTH_DATE)).json == {}
        [made] = preorders(site)
        assert (made.guardian_first_name, made.guardian_last_name, made.email) == (
            "Gwen",
            "Cooper",
            "gwen@mail.example",
        )

    @pytest.mark.parametrize(
        "entered", [None, {}, {"patient": None}, {"patient": {"email": ""}, "tags": {"ids": None}}]
    )
    def test_may_be_empty_and_then_asks_nobody_to_connect(self, site: XealthSite, entered: Any) -> None:
        assert site.preorder(with_input(entered)).json == {}
        [made] = preorders(site)
        assert (made.email, made.connect_abbott, made.connect_dexcom, made.tag_ids) == (None, False, False, [])

    @pytest.mark.parametrize("email", ["", "  "])
    @pytest.mark.parametrize(
        ("person", "birth_date"), [("patient", BIRTH_DATE), ("guardian", CHILD_BIRTH_DATE)], ids=["patient", "guardian"]
    )
    def test_without_an_address_asks_nobody_to_connect(
        self, site: XealthSite, person: str, birth_date: str, email: str
    ) -> None:
        entered = {person: {**GUARDIAN, "email": email, "connectAbbott": True, "connectDexcom": True}}
        assert site.preorder(with_input(entered, birth_date=birth_date)).json == {}
        [made] = preorders(site)
        assert (made.email, made.connect_abbott, made.connect_dexcom) == (None, False, False)

    @pytest.mark.parametrize(
        "missing", [{"firstName": ""}, {"lastName": "  "}, {"firstName": None}, {"lastName": None}, None]
    )
    def test_of_a_guardian_needs_both_names(self, site: XealthSite, missing: Any) -> None:
        entered = None if missing is None else {"guardian": GUARDIAN | missing}
        reply = site.preorder(with_input(entered, birth_date=CHILD_BIRTH_DATE))
        kept = {name: value for name, value in (GUARDIAN | (missing or {})).items() if value}
        assert_error_form(reply, 1, {"guardian": kept} if entered else {})
        assert preorders(site) == []

    @pytest.mark.parametrize(
        "email", ["carol", "carol at mail.example", "Carol <carol@mail.example>", "a@b@c", f"{'a' * 250}@b.cd"]
    )
    @pytest.mark.parametrize(
        ("person", "birth_date"), [("patient", BIRTH_DATE), ("guardian", CHILD_BIRTH_DATE)], ids=["patient", "guardian"]
    )
    def test_with_an_address_that_is_none_is_an_error(
        self, site: XealthSite, person: str, birth_date: str, email: str
    ) -> None:
        entered = {person: {**GUARDIAN, "email": email, "connectDexcom": True, "connectAbbott": False}}
        if person == "patient":
            entered = {person: {"email": email, "connectDexcom": True}}
        reply = site.preorder(with_input(entered, birth_date=birth_date))
        assert_error_form(
            reply, 1, {person: {name: value for name, value in entered[person].items() if value is not False}}
        )
        assert preorders(site) == []

    def test_with_the_address_of_an_account_is_an_error(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_account(unit, DAVE)
        entered = {"patient": {"email": DAVE.email.upper()}, "tags": {"ids": ["x"]}}
        assert_error_form(site.preorder(with_input(entered)), 4, entered)
        assert preorders(site) == []

    def test_with_the_address_of_a_patient_who_is_gone_is_an_error_while_the_account_is_there(
        self, site: XealthSite, clinic_id: str
    ) -> None:
        entered = {"patient": {"email": EMAIL}}
        path = f"/v1/clinics/{clinic_id}/patients"
        given = {"fullName": "Carol", "birthDate": BIRTH_DATE, "email": EMAIL, "mrn": "another"}
        made = site.api.post(path, as_=ALICE, json=given).json
        assert site.api.delete(f"{path}/{made['id']}", as_=ALICE).status == 204
        assert_error_form(site.preorder(with_input(entered)), 4, entered)

    def test_repeats_what_was_entered_and_nothing_else(self, site: XealthSite) -> None:
        entered = {"patient": {"email": "no", "connectDexcom": False, "unknown": 7}, "tags": {"ids": []}, "x": 1}
        assert_error_form(site.preorder(with_input(entered)), 1, {"patient": {"email": "no"}})

    def test_keeps_the_id_of_its_form(self, site: XealthSite) -> None:
        reply = site.preorder(with_input({"patient": {"email": "no"}}))
        assert reply.json["dataTrackingId"] == TRACKING_ID

    def test_that_was_canceled_is_not_stored(self, site: XealthSite) -> None:
        body = with_input({"patient": {"email": "no address at all"}})
        body["formData"]["canceled"] = True
        assert site.preorder(body).json == {}
        assert preorders(site) == []

    def test_of_a_patient_who_has_become_known_is_not_needed(self, site: XealthSite, clinic_id: str) -> None:
        add_patient(site, clinic_id)
        assert site.preorder(with_input({"patient": {"email": "no"}})).json == {}
        other = with_input({"patient": {"email": "no"}}, birth_date="1987-04-13")
        assert_error_form(site.preorder(other), 4, {"patient": {"email": "no"}})
        assert preorders(site) == []

    def test_that_comes_later_takes_the_place_of_an_earlier_one(self, site: XealthSite) -> None:
        site.preorder(with_input({"patient": {"email": EMAIL, "connectDexcom": True}}))
        with clock.frozen(NOW + timedelta(minutes=1)):
            site.preorder(with_input({"patient": {"email": "c@mail.example"}, "tags": {"ids": ["x"]}}, mrn="M-2"))
        [made] = preorders(site)
        assert (made.email, made.connect_dexcom, made.tag_ids, made.mrn) == ("c@mail.example", False, ["x"], "M-2")
        assert (made.created_time, made.updated_time) == (NOW, NOW + timedelta(minutes=1))

    def test_that_an_order_has_used_stays(self, site: XealthSite, clinic_id: str) -> None:
        site.preorder(with_input({"patient": {"email": EMAIL}}))
        with storing(site.database) as unit:
            unit.xealth_orders.use_preorder(clinic_id, TRACKING_ID)
        assert site.preorder(with_input({"patient": {"email": "c@mail.example"}})).json == {}
        assert [made.email for made in preorders(site)] == [EMAIL]

    def test_of_two_clinics_may_have_the_same_id(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_clinic(unit, **ehr_columns(sourceId="hilltop-prod"))
        site.preorder(with_input({}))
        site.preorder(with_input({}) | {"deployment": "hilltop-prod"})
        assert len(preorders(site)) == 2


@pytest.mark.usefixtures("clinic_id")
class TestCost:
    @pytest.mark.parametrize("patients", [0, 40])
    def test_is_fixed(self, site: XealthSite, clinic_id: str, patients: int) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(clinic_id)
            for number in range(patients):
                make_patient(unit, clinic, CAROL._replace(id=f"{number:010x}"), mrn=f"A-{number}")
                make_tag(unit, clinic, f"Tag {number}")
        counts = {
            "initial": number_of_statements(site.database, lambda: site.preorder(preorder())),
            "input": number_of_statements(
                site.database, lambda: site.preorder(with_input({"patient": {"email": EMAIL}}))
            ),
            "error": number_of_statements(
                site.database, lambda: site.preorder(with_input({"patient": {"email": "no"}}))
            ),
        }
        assert counts == {"initial": 3, "input": 8, "error": 6}
