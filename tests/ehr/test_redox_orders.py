"""Orders from their arrival to the answer, on both engines and against real servers."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from clinic_service.models import MatchedMessage, OutboxEntry, PatientTag, Tag
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.ehr.redox.deliveries import NO_ORDER
from tests.ehr.exchange import DESTINATIONS, MRN, Exchange
from tests.ehr.orders import order
from tests.ehr.outcomes import REPORT, next_order, states, subscriptions
from tests.support.cast import CAROL, DAVE
from tests.support.ehr import make_ehr_clinic
from tests.support.redox import PDF, SOURCE_ID
from tests.support.rows import make_tag, stored, storing, tag_patient


class TestEnable:
    def test_reports_are_switched_on_and_the_first_one_is_sent(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        message_id = exchange.receive(order("ENABLE"))
        assert exchange.deliver() == 1
        assert exchange.redox.kinds == ["Results/New", *REPORT]
        assert exchange.results == [("MATCHING_RESULT", "SUCCESS", "The reports of the patient are switched on.")]
        assert subscriptions(exchange) == [(patient.id, True)]
        assert [row.document_id for row in stored(exchange.database, MatchedMessage)] == [message_id]
        [outcome] = exchange.outcomes
        assert (outcome.state, outcome.clinic_id, outcome.user_id) == ("answered", exchange.clinic_id, CAROL.id)

    def test_each_message_goes_to_its_destination(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()
        exchange.deliver()
        metas = [message["Meta"] for message in exchange.redox.messages]
        assert [meta["Destinations"] for meta in metas] == [
            [{"ID": DESTINATIONS[name]}] for name in ("results", "flowsheet", "notes")
        ]
        assert {meta["Source"]["ID"] for meta in metas} == {SOURCE_ID}

    def test_report_is_that_of_the_patient(self, exchange: Exchange) -> None:
        exchange.patient()
        message_id = exchange.receive()
        exchange.deliver()
        [(user_id, asked)] = exchange.redox.reports
        assert user_id == CAROL.id
        assert asked["userDetail"] == {
            "userId": CAROL.id,
            "fullName": "Carol Cooper",
            "dob": "1987-04-12",
            "mrn": MRN,
        }
        assert asked["reportDetail"]["bgUnits"] == "mg/dL"
        assert asked["reportDetail"]["startDate"] == "2026-02-16T08:30:00Z"
        assert asked["reportDetail"]["endDate"] == "2026-03-02T08:30:00Z"
        note = exchange.redox.messages[-1]["Note"]
        assert note["DocumentID"] == message_id
        assert base64.b64decode(note["FileContents"]) == PDF

    def test_report_is_uploaded_where_that_is_wanted(self, exchange: Exchange) -> None:
        exchange.configure(redox_upload_file_enabled=True)
        exchange.patient()
        exchange.receive()
        exchange.deliver()
        assert exchange.redox.uploads == [("report.pdf", PDF)]
        note = exchange.redox.messages[-1]["Note"]
        assert (note["ContentType"], note["FileContents"]) == ("Plain Text", "https://blob.redoxengine.com/files/42")

    def test_report_is_made_before_anything_of_it_is_sent(self, exchange: Exchange) -> None:
        exchange.configure(redox_upload_file_enabled=True)
        exchange.patient()
        exchange.receive()
        exchange.deliver()
        assert exchange.redox.paths == [
            "/token",
            "/endpoint",
            f"/export/report/{CAROL.id}",
            "/upload",
            "/endpoint",
            "/endpoint",
        ]

    def test_without_statistics_there_is_no_flowsheet(self, exchange: Exchange) -> None:
        exchange.patient(has_data=False)
        exchange.receive()
        exchange.deliver()
        assert exchange.redox.kinds == ["Results/New", "Notes/New"]
        assert "startDate" not in exchange.redox.reports[0][1]["reportDetail"]

    def test_settings_say_how_flowsheets_and_notes_look(self, exchange: Exchange) -> None:
        exchange.settings(flowsheets={"icode": True}, notes={"includeGMI": True})
        exchange.patient()
        exchange.receive()
        exchange.deliver()
        _, flowsheet, note = exchange.redox.messages
        values = {one["Code"]: one["Value"] for one in flowsheet["Observations"]}
        assert values["AVERAGE_CGM"] == "153"
        assert [one["Value"] for one in note["Note"]["Components"]] == ["7.0"]

    def test_test_mode_marks_every_message(self, exchange: Exchange) -> None:
        exchange.configure(redox_test_mode=True)
        exchange.patient()
        exchange.receive()
        exchange.deliver()
        assert [message["Meta"]["Test"] for message in exchange.redox.messages] == [True] * 3

    def test_nobody_matches(self, exchange: Exchange) -> None:
        exchange.patient(birth_date="1987-04-13")
        exchange.receive()
        assert exchange.deliver() == 1
        [(code, value, explanation)] = exchange.results
        assert (code, value) == ("MATCHING_RESULT", "FAILURE")
        assert explanation.startswith("No patient")
        assert exchange.redox.kinds == ["Results/New"]
        assert subscriptions(exchange) == []
        assert states(exchange) == ["answered"]

    def test_several_match(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.patient(DAVE)
        exchange.receive()
        exchange.deliver()
        [(code, value, explanation)] = exchange.results
        assert (code, value) == ("MATCHING_RESULT", "FAILURE")
        assert explanation.startswith("Several patients")
        assert subscriptions(exchange) == []

    @pytest.mark.parametrize(
        ("patient", "words"),
        [
            ({"Identifiers": []}, "medical record number"),
            ({"Demographics": {"FirstName": "Carol"}}, "date of birth"),
            ({"Demographics": {"DOB": "1987-04-12"}}, "name"),
            (None, "medical record number"),
        ],
    )
    def test_order_does_not_say_enough(self, exchange: Exchange, patient: Any, words: str) -> None:
        sent = order()["Patient"]
        exchange.patient()
        exchange.receive(order(Patient=None if patient is None else sent | patient))
        exchange.deliver()
        [(code, value, explanation)] = exchange.results
        assert (code, value) == ("MATCHING_RESULT", "FAILURE")
        assert words in explanation

    def test_order_that_has_been_matched_elsewhere_changes_nothing_again(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.subscribe(patient)
        again = exchange.receive()
        exchange.deliver()
        assert len(stored(exchange.database, MatchedMessage)) == 2
        assert exchange.redox.messages[-1]["Note"]["DocumentID"] == again


class TestUpdateOfThePatient:
    """What an order that switches reports on says of a patient who is there already."""

    TAGS = ({"Code": "TAG", "Value": "Pump, North"}, {"Code": "TAG", "Value": "no.tag"})

    def _order(self) -> dict[str, Any]:
        made = order()
        made["Order"]["ClinicalInfo"] = list(self.TAGS)
        return made

    def _tags_of_patient(self, exchange: Exchange) -> set[str]:
        names = {tag.id: tag.name for tag in stored(exchange.database, Tag)}
        return {names[row.tag_id] for row in stored(exchange.database, PatientTag)}

    def test_tags_are_replaced_and_missing_ones_created(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        with storing(exchange.database) as unit:
            clinic = unit.clinics.get(exchange.clinic_id)
            old, _ = make_tag(unit, clinic, "Old"), make_tag(unit, clinic, "PUMP")
            tag_patient(unit, patient, old)
        exchange.settings(tags={"codes": ["TAG"], "separator": ","})
        exchange.receive(self._order())
        exchange.deliver()
        assert self._tags_of_patient(exchange) == {"PUMP", "North"}
        changes = [entry for entry in stored(exchange.database, OutboxEntry) if entry.kind == "patient_changed"]
        assert [entry.payload["changed"] for entry in changes] == [["tags"]]

    def test_number_that_another_patient_has_as_well_is_no_obstacle(self, exchange: Exchange) -> None:
        """Equal numbers from the time before the clinic wanted none stay until somebody edits one of the patients."""
        patient = exchange.patient(email=None)
        exchange.patient(DAVE, birth_date="1970-01-01", mrn_key=mrn_key(MRN))
        with storing(exchange.database) as unit:
            unit.clinics.get(exchange.clinic_id).mrn_unique = True
        exchange.settings(tags={"codes": ["TAG"], "separator": ","})
        exchange.receive(self._order())
        exchange.deliver()
        assert [result[1] for result in exchange.results] == ["SUCCESS"]
        assert subscriptions(exchange) == [(patient.id, True)]

    def test_tags_stay_where_orders_carry_none(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        with storing(exchange.database) as unit:
            tag_patient(unit, patient, make_tag(unit, unit.clinics.get(exchange.clinic_id), "Old"))
        exchange.receive(self._order())
        exchange.deliver()
        assert self._tags_of_patient(exchange) == {"Old"}
        assert "patient_changed" not in {entry.kind for entry in stored(exchange.database, OutboxEntry)}

    def _custodial(self, exchange: Exchange, email: str | None = None) -> Any:
        account = exchange.accounts.create_custodial(exchange.clinic_id, email, exchange.accounts.choose_user_id())
        carol = CAROL._replace(id=account.user_id)
        return exchange.patient(carol, "custodian", "view", email=email)

    def test_account_without_an_address_gets_that_of_the_order(self, exchange: Exchange) -> None:
        patient = self._custodial(exchange)
        exchange.receive()
        exchange.deliver()
        assert [row.email for row in exchange.patients] == ["carol@mail.example"]
        found = exchange.accounts.find_by_email("carol@mail.example")
        assert found is not None
        assert found.user_id == patient.user_id
        assert exchange.results[0][1] == "SUCCESS"

    def test_address_stays_where_there_is_one(self, exchange: Exchange) -> None:
        self._custodial(exchange, "other@mail.example")
        exchange.receive()
        exchange.deliver()
        assert [row.email for row in exchange.patients] == ["other@mail.example"]

    def test_address_of_somebody_else_is_left_out(self, exchange: Exchange) -> None:
        exchange.accounts.create_custodial("65f1c0de0a1b2c3d4e5f6a7b", "carol@mail.example", "0000000001")
        self._custodial(exchange)
        exchange.receive()
        exchange.deliver()
        assert [row.email for row in exchange.patients] == [None]
        assert exchange.results[0][1] == "SUCCESS"
        exchange.compensate()
        assert exchange.accounts.find_by_email("carol@mail.example").user_id == "0000000001"  # type: ignore[union-attr]

    def test_claimed_account_keeps_its_address(self, exchange: Exchange) -> None:
        exchange.patient(email=None)
        exchange.receive()
        exchange.deliver()
        assert [row.email for row in exchange.patients] == [None]

    def test_what_is_no_address_is_left_out(self, exchange: Exchange) -> None:
        self._custodial(exchange)
        made = order()
        made["Patient"]["Demographics"]["EmailAddresses"] = ["nonsense"]
        exchange.receive(made)
        exchange.deliver()
        assert [row.email for row in exchange.patients] == [None]
        assert exchange.results[0][1] == "SUCCESS"


class TestDisable:
    def test_reports_are_switched_off(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.subscribe(patient)
        exchange.receive(next_order("DISABLE"))
        exchange.deliver()
        assert exchange.redox.kinds == ["Results/New"]
        assert exchange.results == [("MATCHING_RESULT", "SUCCESS", "The reports of the patient are switched off.")]
        assert subscriptions(exchange) == [(patient.id, False)]

    def test_nobody_matches(self, exchange: Exchange) -> None:
        exchange.receive(order("DISABLE"))
        exchange.deliver()
        assert [result[:2] for result in exchange.results] == [("MATCHING_RESULT", "FAILURE")]


class TestIgnored:
    @pytest.mark.parametrize("code", ["OTHER", "enable", None])
    def test_order_that_asks_for_nothing(self, exchange: Exchange, code: Any) -> None:
        exchange.patient()
        exchange.receive(order(code))
        assert exchange.deliver() == 1
        assert exchange.redox.server.received == []
        assert states(exchange) == ["ignored"]

    @pytest.mark.parametrize("source", [{"ID": "unknown"}, {}, None])
    def test_order_of_an_unknown_source(self, exchange: Exchange, source: Any) -> None:
        exchange.patient()
        exchange.receive(order(Meta=order()["Meta"] | {"Source": source}))
        exchange.deliver()
        assert exchange.redox.server.received == []
        assert states(exchange) == ["ignored"]

    @pytest.mark.parametrize(("model", "event"), [("Order", "Cancel"), ("PatientAdmin", "New"), ("Notes", "New")])
    def test_message_that_is_no_new_order(self, exchange: Exchange, model: str, event: str) -> None:
        exchange.patient()
        exchange.receive(order(Meta=order()["Meta"] | {"DataModel": model, "EventType": event}))
        assert exchange.deliver() == 1
        assert exchange.redox.server.received == []
        assert exchange.outcomes == []
        assert [event.last_error for event in exchange.events] == [NO_ORDER]

    def test_order_of_a_source_that_several_clinics_share(self, exchange: Exchange) -> None:
        with storing(exchange.database) as unit:
            make_ehr_clinic(unit)
        exchange.receive()
        exchange.deliver()
        [outcome] = exchange.outcomes
        assert (outcome.state, outcome.failure) == (
            "failed",
            "Several clinics are enabled for messages of this source.",
        )
        assert exchange.redox.server.received == []
