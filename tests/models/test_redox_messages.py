"""What is read from messages of Redox, which may hold anything."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from clinic_service.resources.ehr.errors import BirthDateMissing, PatientNameMissing
from clinic_service.resources.ehr.matching import PatientData
from clinic_service.resources.ehr.redox.messages import patient_data, payload_hash
from tests.support.ehr import redox_order

NONSENSE: list[Any] = [None, 7, 1.5, True, "", "text", [], [None], ["text"], [[]], {}, {"ID": {}}]


class TestPatientData:
    def test_is_number_date_of_birth_and_name(self) -> None:
        assert patient_data(redox_order(), "MRN") == PatientData("MRN-20417", "1987-04-12", "Carol Cooper")

    def test_takes_the_first_number_of_the_clinic_s_type(self) -> None:
        numbers = [("EPI", "1"), ("mrn", "2"), ("MRN", "3")]
        order = redox_order(identifiers=[{"IDType": kind, "ID": number} for kind, number in numbers])
        assert patient_data(order, "MRN") == PatientData("2", "1987-04-12", "Carol Cooper")
        assert patient_data(order, "EPI") == PatientData("1", "1987-04-12", "Carol Cooper")

    @pytest.mark.parametrize("given", [{"MiddleName": "Ann"}, {}])
    @pytest.mark.parametrize(
        ("first", "last", "expected"), [("Carol", None, "Carol"), ("", "Cooper", "Cooper"), ("A B", "C", "A B C")]
    )
    def test_leaves_out_the_name_that_is_absent_and_the_middle_name(
        self, first: str | None, last: str | None, expected: str, given: dict[str, Any]
    ) -> None:
        order = redox_order(FirstName=first, LastName=last, **given)
        assert patient_data(order, "MRN") == PatientData("MRN-20417", "1987-04-12", expected)

    def test_without_a_number_is_none_whatever_else_is_missing(self) -> None:
        assert patient_data(redox_order(identifiers=[], DOB=None, FirstName=None, LastName=None), "MRN") is None
        assert patient_data({}, "MRN") is None

    def test_without_a_date_of_birth_is_refused_before_the_name_is_looked_at(self) -> None:
        with pytest.raises(BirthDateMissing):
            patient_data(redox_order(DOB=None, FirstName=None, LastName=None), "MRN")
        with pytest.raises(PatientNameMissing):
            patient_data(redox_order(FirstName=None, LastName=None), "MRN")

    @pytest.mark.parametrize("nonsense", NONSENSE)
    @pytest.mark.parametrize("path", [("Patient",), ("Patient", "Identifiers"), ("Patient", "Identifiers", 0)])
    def test_values_of_other_types_are_no_number(self, nonsense: Any, path: tuple[Any, ...]) -> None:
        assert patient_data(_with(redox_order(), path, nonsense), "MRN") is None

    @pytest.mark.parametrize("nonsense", [value for value in NONSENSE if value != "text"])
    def test_values_of_other_types_are_no_date_and_no_name(self, nonsense: Any) -> None:
        with pytest.raises(BirthDateMissing):
            patient_data(redox_order(DOB=nonsense), "MRN")
        with pytest.raises(BirthDateMissing):
            patient_data(_with(redox_order(), ("Patient", "Demographics"), nonsense), "MRN")
        with pytest.raises(PatientNameMissing):
            patient_data(redox_order(FirstName=nonsense, LastName=nonsense), "MRN")


class TestHash:
    def test_does_not_depend_on_the_attempt_and_the_order_of_members(self) -> None:
        one, other = redox_order(attempt="1"), redox_order(attempt="2")
        assert payload_hash(one) == payload_hash(other)
        assert payload_hash(one) == payload_hash(dict(reversed(other.items())))

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("Meta", "Logs", 0, "ID"), "another"),
            (("Meta", "EventType"), "Cancel"),
            (("Patient", "Demographics", "DOB"), "1987-04-13"),
            (("Meta", "AttemptID"), "1"),
            (("Order", "AttemptID"), "1"),
        ],
    )
    def test_depends_on_everything_else(self, path: tuple[Any, ...], value: str) -> None:
        assert payload_hash(redox_order()) != payload_hash(_with(redox_order(), path, value))

    def test_leaves_the_message_as_it_is(self) -> None:
        message = redox_order()
        before = copy.deepcopy(message)
        payload_hash(message)
        assert message == before


def _with(message: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The message with `value` at the path."""
    *parents, last = path
    node: Any = message
    for part in parents:
        node = node[part]
    node[last] = value
    return message
