"""MatchClinicAndPatient: POST /v1/redox/match"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import EhrSubscription, MatchedMessage, Patient
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.ehr import ehr_columns, make_ehr_clinic, make_subscription, redox_order, store_message
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinician, make_patient, make_site, make_tag, stored, storing
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MESSAGE = "/body/messageRef/documentId"
MRN, MRN_DOB, DOB_FULLNAME = "MRN", "MRN_DOB", "DOB_FULLNAME"


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice as admin, Carol as the order has her, and Dave, who is another."""
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        make_patient(unit, clinic, CAROL, mrn="MRN-20417")
        make_patient(unit, clinic, DAVE, mrn="MRN-2", birth_date="1990-01-01")
        return clinic.id


def stored_order(database: Database, **order: Any) -> str:
    """The id of a stored order, by default for Carol."""
    with storing(database) as unit:
        return store_message(unit, redox_order(**order))


def match(
    api: Client, document_id: str, *criteria: str, action: str | None = None, as_: Somebody | None = SERVICE
) -> Reply:
    """Match the order, for patients only if there are criteria."""
    body: dict[str, Any] = {"messageRef": {"dataModel": "Order", "eventType": "New", "documentId": document_id}}
    if criteria:
        body["patients"] = {"criteria": criteria} | ({"onUniqueMatch": action} if action else {})
    return api.post("/v1/redox/match", as_=as_, json=body)


def found(reply: Reply) -> list[str]:
    """The users who matched."""
    assert reply.status == 200, reply.json
    return [patient["id"] for patient in reply.json.get("patients", [])]


def subscriptions(database: Database) -> dict[str, bool]:
    """By user, whether the subscription is active."""
    users = {patient.id: patient.user_id for patient in stored(database, Patient)}
    return {users[row.patient_id]: row.active for row in stored(database, EhrSubscription)}


class TestClinic:
    def test_is_shown_with_its_settings_as_their_own_operations_show_them(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        with storing(database) as unit:
            clinic = unit.clinics.get(clinic_id)
            make_tag(unit, clinic, "Pump")
            make_site(unit, clinic, "North Wing")
            make_ehr_clinic(unit, sourceId="another")
        reply = match(api, stored_order(database))
        assert reply.status == 200
        assert set(reply.json) == {"clinic", "settings"}
        assert reply.json["clinic"] == api.get(f"/v1/clinics/{clinic_id}", as_=SERVICE).json
        assert reply.json["settings"] == api.get(f"/v1/clinics/{clinic_id}/settings/ehr", as_=SERVICE).json

    def test_is_found_by_an_order_that_says_nothing_of_a_patient(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        document_id = stored_order(database, DOB=None, FirstName=None, LastName=None)
        assert match(api, document_id).json["clinic"]["id"] == clinic_id

    @pytest.mark.parametrize("change", [{"enabled": False}, {"provider": "xealth"}, {"sourceId": "another"}])
    def test_is_none_unless_it_is_enabled_for_the_source_through_redox(
        self, api: Client, database: Database, clinic_id: str, change: dict[str, Any]
    ) -> None:
        with storing(database) as unit:
            clinic = unit.clinics.get(clinic_id)
            for name, value in ehr_columns(**change).items():
                setattr(clinic, name, value)
        assert_error(match(api, stored_order(database), MRN), 404)

    def test_is_not_told_apart_from_another_with_the_source(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        with storing(database) as unit:
            make_ehr_clinic(unit)
        before = everything(database)
        document_id = stored_order(database)
        for action in (None, "ENABLE_REPORTS"):
            reply = match(api, document_id, MRN, action=action)
            assert_error(reply, 409)
            assert [error["pointer"] for error in reply.json["errors"]] == [MESSAGE]
        assert clinic_id
        assert {**everything(database), "redox_messages": [], "outbox": []} == {**before}

    @pytest.mark.parametrize("source_id", [None, ""])
    def test_cannot_be_found_without_a_source(
        self, api: Client, database: Database, clinic_id: str, source_id: str | None
    ) -> None:
        with storing(database) as unit:
            make_ehr_clinic(unit, sourceId="")
        assert clinic_id
        assert_violations(match(api, stored_order(database, source_id=source_id)), (MESSAGE, "state"))


class TestPatients:
    @pytest.mark.parametrize("criterion", [MRN, MRN_DOB, DOB_FULLNAME])
    def test_are_shown_as_the_clinic_sees_them(
        self, api: Client, database: Database, clinic_id: str, criterion: str
    ) -> None:
        reply = match(api, stored_order(database), criterion)
        assert reply.json["patients"] == [api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=SERVICE).json]

    @pytest.mark.parametrize(
        ("known", "criterion"),
        [
            ({"mrn": "mrn-20417"}, MRN_DOB),
            ({"mrn": "mŕn-20417"}, MRN),
            ({"full_name": "cárol COOPER", "mrn": None}, DOB_FULLNAME),
        ],
    )
    def test_are_compared_without_case_and_accents(
        self, api: Client, database: Database, clinic_id: str, known: dict[str, Any], criterion: str
    ) -> None:
        with storing(database) as unit:
            carol = unit.patients.get(clinic_id, CAROL.id)
            for name, value in known.items():
                setattr(carol, name, value)
        assert found(match(api, stored_order(database), criterion)) == [CAROL.id]

    def test_are_those_of_all_criteria_each_once(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            make_patient(unit, unit.clinics.get(clinic_id), ERIN, full_name="Carol Cooper", mrn="MRN-3")
        document_id = stored_order(database)
        assert found(match(api, document_id, MRN_DOB, MRN, DOB_FULLNAME)) == [CAROL.id, ERIN.id]
        assert found(match(api, document_id, MRN_DOB, MRN)) == [CAROL.id]
        assert found(match(api, document_id, MRN, MRN)) == [CAROL.id]

    def test_are_those_of_the_clinic_alone(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            make_patient(unit, make_ehr_clinic(unit, sourceId="another"), ERIN, mrn="MRN-20417")
        assert clinic_id
        assert found(match(api, stored_order(database), MRN, DOB_FULLNAME)) == [CAROL.id]

    @pytest.mark.parametrize(
        "order",
        [
            {"identifiers": []},
            {"identifiers": [{"IDType": "EPI", "ID": "MRN-20417"}]},
            {"identifiers": [{"IDType": "MRN", "ID": ""}, {"IDType": "MRN", "ID": "MRN-20417"}]},
            {"identifiers": [{"IDType": "MRN", "ID": "nobody's"}]},
            {"identifiers": [], "DOB": None, "FirstName": None, "LastName": None},
        ],
    )
    def test_are_absent_when_nobody_matches(
        self, api: Client, database: Database, clinic_id: str, order: dict[str, Any]
    ) -> None:
        reply = match(api, stored_order(database, **order), MRN, MRN_DOB, action="ENABLE_REPORTS")
        assert reply.status == 200
        assert reply.json["clinic"]["id"] == clinic_id
        assert "patients" not in reply.json
        assert subscriptions(database) == {}

    @pytest.mark.parametrize("order", [{"DOB": None}, {"DOB": 7}, {"FirstName": None, "LastName": ""}])
    @pytest.mark.parametrize("criterion", [MRN, DOB_FULLNAME])
    def test_need_a_date_of_birth_and_a_name_whatever_the_criterion(
        self, api: Client, database: Database, clinic_id: str, order: dict[str, Any], criterion: str
    ) -> None:
        assert clinic_id
        reply = match(api, stored_order(database, **order), criterion, action="ENABLE_REPORTS")
        assert_violations(reply, (MESSAGE, "state"))
        assert subscriptions(database) == {}

    def test_are_found_by_the_clinic_s_type_of_number(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            clinic = unit.clinics.get(clinic_id)
            clinic.ehr_settings = (clinic.ehr_settings or {}) | {"mrnIdType": "epi"}
        identifiers = [{"IDType": "MRN", "ID": "MRN-2"}, {"IDType": "EPI", "ID": "MRN-20417"}]
        assert found(match(api, stored_order(database, identifiers=identifiers), MRN)) == [CAROL.id]


class TestSubscription:
    @pytest.mark.parametrize(("action", "active"), [("ENABLE_REPORTS", True), ("DISABLE_REPORTS", False)])
    def test_is_changed_when_one_patient_matches(
        self, api: Client, database: Database, clinic_id: str, action: str, active: bool
    ) -> None:
        document_id = stored_order(database)
        reply = match(api, document_id, MRN_DOB, action=action)
        assert found(reply) == [CAROL.id]
        assert clinic_id
        [row] = stored(database, EhrSubscription)
        assert (row.name, row.provider, row.active) == ("summaryAndReports", "redox", active)
        [message] = stored(database, MatchedMessage)
        assert (message.document_id, message.data_model, message.event_type) == (document_id, "Order", "New")
        assert {p.user_id: p.updated_time for p in stored(database, Patient)} == {CAROL.id: NOW, DAVE.id: LONG_AGO}
        assert reply.json["patients"][0]["updatedTime"] == "2026-03-02T09:30:00.000Z"

    def test_is_left_alone_without_an_action(self, api: Client, database: Database, clinic_id: str) -> None:
        document_id = stored_order(database)
        before = everything(database)
        assert found(match(api, document_id, MRN_DOB)) == [CAROL.id]
        assert clinic_id
        assert everything(database) == before

    def test_is_left_alone_when_several_match(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            make_patient(unit, unit.clinics.get(clinic_id), ERIN, mrn="mrn-20417")
        document_id = stored_order(database)
        before = everything(database)
        assert found(match(api, document_id, MRN, action="ENABLE_REPORTS")) == [CAROL.id, ERIN.id]
        assert everything(database) == before

    def test_counts_a_document_once(self, api: Client, database: Database, clinic_id: str) -> None:
        """What a document was matched with first stays, whatever is asked for later."""
        document_id = stored_order(database)
        match(api, document_id, MRN_DOB, action="ENABLE_REPORTS")
        before = everything(database)
        for action in ("ENABLE_REPORTS", "DISABLE_REPORTS"):
            with clock.frozen(NOW.replace(hour=11)):
                assert found(match(api, document_id, MRN, action=action)) == [CAROL.id]
        assert clinic_id
        assert everything(database) == before

    def test_follows_a_further_document(self, api: Client, database: Database, clinic_id: str) -> None:
        for log_id, action in (("a", "ENABLE_REPORTS"), ("b", "DISABLE_REPORTS"), ("c", "ENABLE_REPORTS")):
            match(api, stored_order(database, log_id=log_id), MRN_DOB, action=action)
            assert subscriptions(database) == {CAROL.id: action == "ENABLE_REPORTS"}
        assert clinic_id
        assert [row.position for row in stored(database, MatchedMessage)] == [0, 1, 2]

    def test_follows_a_duplicate_as_any_other_document(self, api: Client, database: Database, clinic_id: str) -> None:
        first, duplicate = stored_order(database, attempt="1"), stored_order(database, attempt="2")
        match(api, first, MRN_DOB, action="ENABLE_REPORTS")
        match(api, duplicate, MRN_DOB, action="DISABLE_REPORTS")
        assert clinic_id
        assert subscriptions(database) == {CAROL.id: False}

    def test_ends_with_another_number_and_begins_again_with_a_further_document(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        first = stored_order(database, log_id="a")
        match(api, first, DOB_FULLNAME, action="ENABLE_REPORTS")
        record = {"fullName": "Carol Cooper", "birthDate": "1987-04-12", "email": CAROL.email}
        reply = api.put(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=ALICE, json=record | {"mrn": "MRN-9"})
        assert reply.status == 200
        assert subscriptions(database) == {CAROL.id: False}
        match(api, first, DOB_FULLNAME, action="ENABLE_REPORTS")
        assert subscriptions(database) == {CAROL.id: False}
        match(api, stored_order(database, log_id="b"), DOB_FULLNAME, action="ENABLE_REPORTS")
        assert subscriptions(database) == {CAROL.id: True}


BODY: dict[str, Any] = {
    "messageRef": {"dataModel": "Order", "eventType": "New", "documentId": "65f1c0de0a1b2c3d4e5f6c01"},
    "patients": {"criteria": ["MRN"]},
}


def with_reference(**members: Any) -> dict[str, Any]:
    return BODY | {"messageRef": BODY["messageRef"] | members}


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({}, "/body/messageRef", "required"),
        ({"patients": {"criteria": ["MRN"]}}, "/body/messageRef", "required"),
        (BODY | {"messageRef": {}}, "/body/messageRef/dataModel", "required"),
        (with_reference(dataModel="PatientAdmin"), "/body/messageRef/dataModel", "enum"),
        (with_reference(eventType="Cancel"), "/body/messageRef/eventType", "enum"),
        (with_reference(documentId="65F1C0DE0A1B2C3D4E5F6C01"), MESSAGE, "pattern"),
        (with_reference(documentId="65f1c0de0a1b2c3d4e5f6c0g"), MESSAGE, "pattern"),
        (with_reference(documentId=7), MESSAGE, "type"),
        (BODY | {"patients": {}}, "/body/patients/criteria", "required"),
        (BODY | {"patients": {"criteria": []}}, "/body/patients/criteria", "minItems"),
        (BODY | {"patients": {"criteria": ["mrn"]}}, "/body/patients/criteria/0", "enum"),
        (BODY | {"patients": None}, "/body/patients", "type"),
        (
            BODY | {"patients": {"criteria": ["MRN"], "onUniqueMatch": "ENABLE"}},
            "/body/patients/onUniqueMatch",
            "enum",
        ),
    ],
)
def test_bad_input_is_refused(api: Client, body: Any, pointer: str, rule: str) -> None:
    reply = api.post("/v1/redox/match", as_=SERVICE, json=body)
    assert_error(reply, 400)
    assert (pointer, rule) in [(error["pointer"], error["rule"]) for error in reply.json["errors"]]


@pytest.mark.parametrize("kind", [{"DataModel": "PatientAdmin"}, {"EventType": "Cancel"}, None])
def test_a_message_that_is_not_stored_as_a_new_order_is_not_found(
    api: Client, database: Database, clinic_id: str, kind: dict[str, str] | None
) -> None:
    document_id = "65f1c0de0a1b2c3d4e5f6c01"
    if kind:
        message = redox_order()
        message["Meta"] |= kind
        with storing(database) as unit:
            document_id = store_message(unit, message)
    assert clinic_id
    assert_error(match(api, document_id, MRN), 404)


@pytest.mark.one_engine
@pytest.mark.parametrize(("caller", "status"), [(None, 401), (ALICE, 403), (BOB, 403), (CAROL, 403)])
def test_is_for_services(api: Client, database: Database, clinic_id: str, caller: Somebody | None, status: int) -> None:
    assert clinic_id
    assert_error(match(api, stored_order(database), MRN, action="ENABLE_REPORTS", as_=caller), status)
    assert subscriptions(database) == {}


def test_the_number_of_statements_does_not_depend_on_the_clinic(
    api: Client, database: Database, clinic_id: str
) -> None:
    def sent(log_ids: str) -> list[int]:
        ids = [stored_order(database, log_id=log_id) for log_id in log_ids]
        return [
            number_of_statements(database, lambda: match(api, ids[0])),
            number_of_statements(database, lambda: match(api, ids[0], MRN)),
            number_of_statements(database, lambda: match(api, ids[0], MRN, MRN_DOB, DOB_FULLNAME)),
            number_of_statements(database, lambda: match(api, ids[1], MRN_DOB, action="ENABLE_REPORTS")),
        ]

    few = sent("ab")
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(10):
            make_tag(unit, clinic, f"Tag {number}")
            make_patient(unit, clinic, ERIN, user_id=f"{number:010x}", mrn=f"other {number}")
            make_ehr_clinic(unit, sourceId=f"another {number}")
    # The message, the clinic and what is shown of it in two statements; the matches, and what is shown of them in two
    # more; the locks of the clinic and of the patient, what has matched before, the subscription, the match and the
    # patient's time.
    assert sent("cd") == few == [4, 7, 7, 13]


def test_a_subscription_is_changed_as_a_whole_or_not_at_all(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_subscription(unit, unit.patients.get(clinic_id, CAROL.id), "0" * 24)
    document_id = stored_order(database)
    assert_all_or_nothing(database, lambda: match(api, document_id, MRN_DOB, action="DISABLE_REPORTS"), statements=13)


def test_waits_for_a_change_of_the_number(api: Client, database: Database, clinic_id: str) -> None:
    """The patient is found by the number as it is when the subscription is stored."""
    document_id = stored_order(database)

    def change(unit: Any) -> None:
        unit.clinics.lock(clinic_id)
        unit.patients.lock(clinic_id, CAROL.id).mrn = "MRN-9"
        unit.flush()

    reply = meanwhile(database, change, lambda: match(api, document_id, MRN_DOB, action="ENABLE_REPORTS"))
    assert found(reply) == []
    assert subscriptions(database) == {}
