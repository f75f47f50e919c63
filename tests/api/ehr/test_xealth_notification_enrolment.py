"""XealthNotification: a new order makes a patient whom the clinic does not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clinic_service.models import (
    DataSource,
    EhrSubscription,
    EmbeddedAccount,
    OutboxEntry,
    Patient,
    PatientTag,
    Permission,
    Reservation,
    XealthOrder,
    XealthPreorder,
)
from tests.support.cast import ALICE, CAROL, DAVE
from tests.support.client import Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_account, make_patient, make_tag, stored, storing
from tests.support.units import everything, number_of_statements
from tests.support.xealth_site import (
    BIRTH_DATE,
    CHILD_BIRTH_DATE,
    DEPLOYMENT,
    EMAIL,
    MRN,
    NOW,
    ORDER_ID,
    TRACKING_ID,
    XealthSite,
    event,
    make_xealth_clinic,
    order,
    with_input,
)

EVERYTHING = {"email": EMAIL, "connectAbbott": True, "connectDexcom": True}
TIME = "2026-03-02T09:30:00.000Z"


@pytest.fixture
def clinic_id(site: XealthSite) -> str:
    with storing(site.database) as unit:
        return make_xealth_clinic(unit).id


def enter(site: XealthSite, person: dict[str, Any] | None = None, tags: list[str] | None = None, **rest: Any) -> None:
    """Fill in the form of the patient."""
    entered = {"patient": EVERYTHING if person is None else person, "tags": {"ids": tags or []}}
    reply = site.preorder(with_input(entered, **rest))
    assert (reply.status, reply.json) == (200, {})


def notify(site: XealthSite, context: str = "new", **members: Any) -> Reply:
    return site.notify(event(context, **members))


def change_clinic(site: XealthSite, clinic_id: str, **values: Any) -> None:
    with storing(site.database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in values.items():
            setattr(clinic, name, value)


def assert_refused(site: XealthSite, status: int) -> Reply:
    """The notification is refused and leaves nothing behind."""
    before = everything(site.database)
    reply = notify(site)
    assert_error(reply, status)
    assert everything(site.database) == before
    return reply


def kinds(site: XealthSite) -> list[str]:
    return [entry.kind for entry in sorted(stored(site.database, OutboxEntry), key=lambda entry: entry.id)]


class TestPatient:
    def test_is_made_of_the_order_and_the_form(self, site: XealthSite, clinic_id: str) -> None:
        enter(site, {"email": " Carol.C@Mail.Example "})
        assert notify(site).status == 200
        [patient], [account] = stored(site.database, Patient), stored(site.database, EmbeddedAccount)
        assert (patient.clinic_id, patient.user_id) == (clinic_id, account.user_id)
        assert (patient.full_name, patient.birth_date, patient.mrn) == ("Carol Cooper", BIRTH_DATE, MRN)
        assert (patient.email, account.username) == ("carol.c@mail.example",) * 2
        assert (account.custodial_clinic_id, patient.invited_by) == (clinic_id, None)
        assert tuple(patient.permissions or ()) == tuple(Permission)
        assert stored(site.database, Reservation) == []

    def test_is_subscribed(self, site: XealthSite, clinic_id: str) -> None:
        enter(site)
        notify(site)
        [subscription], [row] = stored(site.database, EhrSubscription), stored(site.database, XealthOrder)
        assert (subscription.clinic_id, subscription.active, row.applied_time) == (clinic_id, True, NOW)

    @pytest.mark.usefixtures("clinic_id")
    def test_is_asked_to_connect_what_was_chosen(self, site: XealthSite) -> None:
        enter(site)
        notify(site)
        [patient] = stored(site.database, Patient)
        sources = stored(site.database, DataSource)
        assert [(source.provider_name, str(source.state)) for source in sources] == [
            ("abbott", "pending"),
            ("dexcom", "pending"),
        ]
        assert {source.expiration_time for source in sources} == {NOW + timedelta(days=30)}
        assert {source.modified_time for source in sources} == {None}
        assert patient.connection_requests == {
            name: [{"providerName": name, "createdTime": TIME}] for name in ("abbott", "dexcom")
        }
        told = ["patient_added", "request_abbott_connect_custodial", "request_dexcom_connect_custodial"]
        assert kinds(site) == told

    @pytest.mark.parametrize(("chosen", "provider"), [("connectAbbott", "abbott"), ("connectDexcom", "dexcom")])
    @pytest.mark.usefixtures("clinic_id")
    def test_is_asked_to_connect_nothing_else(self, site: XealthSite, chosen: str, provider: str) -> None:
        enter(site, {"email": EMAIL, chosen: True})
        notify(site)
        assert [source.provider_name for source in stored(site.database, DataSource)] == [provider]

    @pytest.mark.parametrize("person", [{}, {"email": ""}, {"connectDexcom": True}, {"email": EMAIL}], ids=str)
    @pytest.mark.usefixtures("clinic_id")
    def test_is_asked_nothing_without_an_address_or_a_choice(self, site: XealthSite, person: Any) -> None:
        enter(site, person)
        notify(site)
        [patient] = stored(site.database, Patient)
        assert patient.email == (person.get("email") or None)
        assert (patient.connection_requests, patient.data_sources_set) == (None, False)
        assert stored(site.database, DataSource) == []
        assert kinds(site) == ["patient_added"]

    def test_carries_the_tags_that_the_clinic_has(self, site: XealthSite, clinic_id: str) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(clinic_id)
            ours = [make_tag(unit, clinic, name).id for name in ("Pump", "Adults")]
            foreign = make_tag(unit, make_xealth_clinic(unit, ehr={"sourceId": "other"}), "Pump").id
        enter(site, tags=[ours[1], foreign, "anything", ours[0], ours[1]])
        assert notify(site).status == 200
        assert {row.tag_id for row in stored(site.database, PatientTag)} == set(ours)

    @pytest.mark.usefixtures("clinic_id")
    def test_of_a_guardian_has_the_address_of_the_guardian(self, site: XealthSite) -> None:
        guardian = {"firstName": "Gwen", "lastName": "Cooper", "email": "gwen@mail.example", "connectDexcom": True}
        child: dict[str, Any] = {"birth_date": CHILD_BIRTH_DATE, "given": ["Cody"]}
        assert site.preorder(with_input({"guardian": guardian}, **child)).json == {}
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(**child)
        assert notify(site).status == 200
        [patient] = stored(site.database, Patient)
        assert (patient.full_name, patient.birth_date, patient.email) == (
            "Cody Cooper",
            CHILD_BIRTH_DATE,
            "gwen@mail.example",
        )
        assert [source.provider_name for source in stored(site.database, DataSource)] == ["dexcom"]
        assert stored(site.database, XealthPreorder)[0].guardian_first_name == "Gwen"

    @pytest.mark.usefixtures("clinic_id")
    def test_has_what_a_record_can_hold_of_a_long_name(self, site: XealthSite) -> None:
        enter(site)
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(given=["Carol\x00" * 60], family=["Cooper\ud800"])
        assert notify(site).status == 200
        [patient] = stored(site.database, Patient)
        assert patient.full_name == ("Carol" * 60)[:255]

    @pytest.mark.usefixtures("clinic_id")
    def test_is_made_once(self, site: XealthSite) -> None:
        enter(site)
        for _ in range(2):
            assert notify(site).status == 200
        assert len(stored(site.database, Patient)) == len(stored(site.database, EmbeddedAccount)) == 1

    def test_is_made_again_when_the_record_was_deleted_and_the_address_is_free(
        self, site: XealthSite, clinic_id: str
    ) -> None:
        enter(site, {})
        notify(site)
        [first] = stored(site.database, Patient)
        assert site.api.delete(f"/v1/clinics/{clinic_id}/patients/{first.user_id}", as_=ALICE).status == 204
        assert notify(site).status == 200
        [second] = stored(site.database, Patient)
        assert second.user_id != first.user_id
        assert [row.active for row in stored(site.database, EhrSubscription)] == [True]

    def test_reuses_the_orphaned_account(self, site: XealthSite, clinic_id: str) -> None:
        """The account of a record that was deleted has the address, and the clinic had it made."""
        enter(site)
        notify(site)
        [first] = stored(site.database, Patient)
        assert site.api.delete(f"/v1/clinics/{clinic_id}/patients/{first.user_id}", as_=ALICE).status == 204
        assert notify(site).status == 200
        assert [patient.user_id for patient in stored(site.database, Patient)] == [first.user_id]
        assert len(stored(site.database, EmbeddedAccount)) == 1


class TestForm:
    @pytest.mark.parametrize("preorder", [None, {}, {"dataTrackingId": ""}, {"dataTrackingId": 7}, []], ids=str)
    @pytest.mark.usefixtures("clinic_id")
    def test_an_order_that_names_none(self, site: XealthSite, preorder: Any) -> None:
        enter(site)
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order() | {"preorder": preorder}
        assert_violations(assert_refused(site, 400), ("/body/orderId", "state"))

    @pytest.mark.parametrize("tracking_id", ["another", TRACKING_ID.upper(), "\x00", "x" * 5000])
    @pytest.mark.usefixtures("clinic_id")
    def test_an_order_that_names_an_unknown_one(self, site: XealthSite, tracking_id: str) -> None:
        enter(site)
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(tracking_id=tracking_id)
        assert_refused(site, 404)

    @pytest.mark.usefixtures("clinic_id")
    def test_of_another_patient_is_unknown(self, site: XealthSite) -> None:
        enter(site, mrn="MRN-2")
        assert_refused(site, 404)

    @pytest.mark.usefixtures("clinic_id")
    def test_of_a_number_in_another_spelling_is_known(self, site: XealthSite) -> None:
        enter(site, mrn=MRN.lower())
        assert notify(site).status == 200

    @pytest.mark.usefixtures("clinic_id")
    def test_of_another_deployment_is_unknown(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_xealth_clinic(unit, ehr={"sourceId": "hilltop-prod"})
        site.preorder(with_input({}) | {"deployment": "hilltop-prod"})
        assert_refused(site, 404)

    @pytest.mark.usefixtures("clinic_id")
    def test_is_used(self, site: XealthSite) -> None:
        enter(site)
        notify(site)
        assert [row.used_time for row in stored(site.database, XealthPreorder)] == [NOW]

    @pytest.mark.usefixtures("clinic_id")
    def test_is_not_needed_to_cancel(self, site: XealthSite) -> None:
        assert notify(site, "cancel").status == 200
        assert stored(site.database, Patient) == []


class TestRules:
    """All rules of making a patient hold; what is wrong is wrong with the order."""

    def test_the_number_must_be_unique_where_the_clinic_wants_it(self, site: XealthSite, clinic_id: str) -> None:
        change_clinic(site, clinic_id, mrn_unique=True, mrn_required=True)
        enter(site)
        with storing(site.database) as unit:
            clinic = unit.clinics.get(clinic_id)
            make_patient(unit, clinic, DAVE, mrn=MRN, mrn_key=MRN.lower(), birth_date="1999-09-09")
        assert_violations(assert_refused(site, 400), ("/body/orderId", "unique"))

    def test_the_plan_must_have_a_place(self, site: XealthSite, clinic_id: str) -> None:
        change_clinic(site, clinic_id, patient_count_settings={"hardLimit": {"plan": 0}})
        enter(site)
        assert_refused(site, 402)

    @pytest.mark.usefixtures("clinic_id")
    def test_the_address_must_be_free(self, site: XealthSite) -> None:
        enter(site)
        with storing(site.database) as unit:
            make_account(unit, CAROL)
        reply = assert_refused(site, 409)
        assert [(violation["pointer"], violation["rule"]) for violation in reply.json["errors"]] == [
            ("/body/orderId", "unique")
        ]

    def test_the_address_of_another_patient_of_the_clinic_is_not_free(self, site: XealthSite, clinic_id: str) -> None:
        enter(site)
        body = {"fullName": "Dave", "birthDate": "1999-09-09", "email": EMAIL}
        assert site.api.post(f"/v1/clinics/{clinic_id}/patients", as_=ALICE, json=body).status == 200
        assert_refused(site, 409)

    @pytest.mark.usefixtures("clinic_id")
    def test_the_custodial_address_of_another_clinic_is_not_free(self, site: XealthSite) -> None:
        enter(site)
        with storing(site.database) as unit:
            make_account(unit, CAROL).custodial_clinic_id = "0" * 24
        assert_refused(site, 409)

    def test_a_patient_with_the_number_and_another_date_of_birth_is_another_one(
        self, site: XealthSite, clinic_id: str
    ) -> None:
        enter(site)
        with storing(site.database) as unit:
            make_patient(unit, unit.clinics.get(clinic_id), DAVE, mrn=MRN, birth_date="1999-09-09")
        assert notify(site).status == 200
        assert len(stored(site.database, Patient)) == 2


class TestCost:
    @pytest.mark.parametrize("patients", [0, 40])
    def test_is_fixed(self, site: XealthSite, clinic_id: str, patients: int) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(clinic_id)
            tags = [make_tag(unit, clinic, f"Tag {number}").id for number in range(patients + 1)]
            for number in range(patients):
                make_patient(unit, clinic, DAVE._replace(id=f"{number:010x}"), mrn=f"A-{number}")
        enter(site, tags=tags)
        assert number_of_statements(site.database, lambda: notify(site)) == 42
