"""Orders of Redox that create an account and a record."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.models import OutboxEntry, PatientTag, Tag, Tier
from clinic_service.resources.patients.permissions import replace_permissions
from tests.ehr.exchange import MRN, Exchange
from tests.ehr.orders import order
from tests.ehr.outcomes import REPORT, subscriptions
from tests.support.cast import DAVE
from tests.support.rows import stored, storing


class TestCreate:
    def test_account_and_record_are_made(self, exchange: Exchange) -> None:
        exchange.settings(tags={"codes": ["TAG"]})
        made = order("CREATE")
        made["Order"]["ClinicalInfo"] = [{"Code": "TAG", "Value": "Pump"}]
        exchange.receive(made)
        exchange.deliver()
        assert exchange.results == [("ACCOUNT_CREATION_RESULT", "SUCCESS", "The account of the patient was created.")]
        assert exchange.redox.kinds == ["Results/New"]
        [patient] = exchange.patients
        assert (patient.full_name, patient.birth_date, patient.mrn) == ("Carol Cooper", "1987-04-12", MRN)
        assert (patient.email, list(patient.permissions or ())) == (
            "carol@mail.example",
            ["custodian", "view", "upload", "note"],
        )
        assert [tag.name for tag in stored(exchange.database, Tag)] == ["Pump"]
        assert len(stored(exchange.database, PatientTag)) == 1
        account = exchange.accounts.find_by_email("carol@mail.example")
        assert account is not None
        assert account.user_id == patient.user_id
        assert subscriptions(exchange) == []
        added = [entry for entry in stored(exchange.database, OutboxEntry) if entry.kind == "patient_added"]
        assert [entry.payload["custodial"] for entry in added] == [True]

    def test_account_stays_when_it_is_complete(self, exchange: Exchange) -> None:
        exchange.receive(order("CREATE"))
        exchange.deliver()
        exchange.compensate()
        assert exchange.accounts.find_by_email("carol@mail.example") is not None

    def test_account_without_an_address(self, exchange: Exchange) -> None:
        made = order("CREATE")
        del made["Patient"]["Demographics"]["EmailAddresses"]
        exchange.receive(made)
        exchange.deliver()
        assert [patient.email for patient in exchange.patients] == [None]

    def test_account_of_a_child_has_the_address_of_the_guarantor(self, exchange: Exchange) -> None:
        made = order("CREATE")
        made["Patient"]["Demographics"]["DOB"] = "2013-03-03"
        exchange.receive(made)
        exchange.deliver()
        assert [patient.email for patient in exchange.patients] == ["gail@mail.example"]

    @pytest.mark.parametrize(
        "values", [{"birth_date": "2000-01-01"}, {"mrn": "other"}], ids=["number", "name and date of birth"]
    )
    def test_patient_is_there_already(self, exchange: Exchange, values: dict[str, Any]) -> None:
        exchange.patient(**values)
        exchange.receive(order("CREATE"))
        exchange.deliver()
        [(code, value, explanation)] = exchange.results
        assert (code, value) == ("ACCOUNT_CREATION_RESULT", "FAILURE")
        assert "already" in explanation
        assert len(exchange.patients) == 1

    def test_account_that_a_removed_patient_has_left_is_taken_again(self, exchange: Exchange) -> None:
        account = exchange.accounts.create_custodial(exchange.clinic_id, "carol@mail.example", "0000000001")
        exchange.receive(order("CREATE"))
        exchange.deliver()
        assert [patient.user_id for patient in exchange.patients] == [account.user_id]
        assert [result[1] for result in exchange.results] == ["SUCCESS"]

    @pytest.mark.parametrize("kept", [("view",), ()], ids=["leaves", "leaves at once"])
    def test_account_that_its_patient_has_claimed_is_not_taken(self, exchange: Exchange, kept: tuple[str, ...]) -> None:
        exchange.receive(order("CREATE"))
        exchange.deliver()
        [patient] = exchange.patients
        for permissions in (kept, ()):
            with storing(exchange.database) as unit:
                if unit.patients.is_patient(exchange.clinic_id, patient.user_id):
                    replace_permissions(unit, exchange.clinic_id, patient.user_id, permissions)
        again = order("CREATE")
        again["Patient"]["Demographics"] |= {"FirstName": "Dora", "DOB": "1990-01-01"}
        again["Meta"]["Logs"] = []
        exchange.receive(again)
        exchange.deliver()
        assert exchange.results[1] == ("ACCOUNT_CREATION_RESULT", "FAILURE", "The e-mail address is already taken.")
        assert exchange.patients == []

    def test_date_of_birth_that_is_not_known(self, exchange: Exchange) -> None:
        made = order("CREATE")
        made["Patient"]["Demographics"]["DOB"] = "0001-01-01"
        exchange.receive(made)
        exchange.deliver()
        assert [patient.birth_date for patient in exchange.patients] == [None]

    def test_address_is_taken(self, exchange: Exchange) -> None:
        exchange.accounts.create_custodial("65f1c0de0a1b2c3d4e5f6a7b", "carol@mail.example", "0000000001")
        exchange.receive(order("CREATE"))
        exchange.deliver()
        assert exchange.results == [
            ("ACCOUNT_CREATION_RESULT", "FAILURE", "The e-mail address is already taken."),
        ]
        assert exchange.patients == []

    @pytest.mark.parametrize(
        ("patient", "words"),
        [
            ({"Demographics": {"LastName": "Cooper", "DOB": "1987-04-12"}}, "first and the last name"),
            ({"Demographics": {"FirstName": "C", "LastName": "C", "DOB": "12.4.1987"}}, "date of birth"),
            ({"Identifiers": [{"ID": "  ", "IDType": "MRN"}]}, "medical record number"),
            ({"Identifiers": []}, "medical record number"),
        ],
    )
    def test_order_does_not_say_enough(self, exchange: Exchange, patient: Any, words: str) -> None:
        exchange.receive(order("CREATE", Patient=order()["Patient"] | patient))
        exchange.deliver()
        [(code, value, explanation)] = exchange.results
        assert (code, value) == ("ACCOUNT_CREATION_RESULT", "FAILURE")
        assert words in explanation
        assert exchange.patients == []

    def test_plan_of_the_clinic_is_full(self, exchange: Exchange) -> None:
        with storing(exchange.database) as unit:
            clinic = unit.clinics.get(exchange.clinic_id)
            clinic.country, clinic.tier = "US", Tier.FREE
            clinic.patient_count_settings = {"hardLimit": {"plan": 0}}
        exchange.receive(order("CREATE"))
        exchange.deliver()
        assert exchange.results == [
            ("ACCOUNT_CREATION_RESULT", "FAILURE", "The clinic's plan does not allow another patient."),
        ]
        assert exchange.accounts.find_by_email("carol@mail.example") is None


class TestCreateAndEnable:
    def test_new_patient_gets_an_account_and_reports(self, exchange: Exchange) -> None:
        message_id = exchange.receive(order("BOTH"))
        exchange.deliver()
        assert [result[:2] for result in exchange.results] == [("ACCOUNT_CREATION_RESULT", "SUCCESS")]
        # Without data there are no statistics.
        assert exchange.redox.kinds == ["Results/New", "Notes/New"]
        [patient] = exchange.patients
        assert subscriptions(exchange) == [(patient.id, True)]
        assert exchange.redox.messages[-1]["Note"]["DocumentID"] == message_id

    def test_known_patient_gets_reports(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.receive(order("BOTH"))
        exchange.deliver()
        assert [result[:2] for result in exchange.results] == [("MATCHING_RESULT", "SUCCESS")]
        assert exchange.redox.kinds == ["Results/New", *REPORT]
        assert subscriptions(exchange) == [(patient.id, True)]

    def test_number_of_somebody_else(self, exchange: Exchange) -> None:
        exchange.patient(DAVE, birth_date="2000-01-01")
        exchange.receive(order("BOTH"))
        exchange.deliver()
        assert [result[:2] for result in exchange.results] == [("ACCOUNT_CREATION_RESULT", "FAILURE")]
        assert len(exchange.patients) == 1

    def test_several_match(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.patient(DAVE)
        exchange.receive(order("BOTH"))
        exchange.deliver()
        assert [result[:2] for result in exchange.results] == [("MATCHING_RESULT", "FAILURE")]
