"""What an order asks for, and what it says about the patient's account."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from clinic_service.resources.ehr.matching import PatientData
from clinic_service.resources.ehr.redox.order_content import (
    OrderAction,
    UnusableOrder,
    email_of_order,
    new_patient,
    requested_action,
    tag_names,
)
from clinic_service.resources.settings.schemas import ehr_settings_schema
from tests.ehr.orders import order
from tests.support.ehr import SETTINGS

CODES = {
    "enableSummaryReports": "ENABLE",
    "disableSummaryReports": "DISABLE",
    "createAccount": "CREATE",
    "createAccountAndEnableReports": "BOTH",
}
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ADULT, CHILD = date(1987, 4, 12), date(2019, 4, 12)
CAROL = PatientData("MRN-20417", "1987-04-12", "Carol Cooper")


def _settings(**changed: Any) -> SimpleNamespace:
    read: SimpleNamespace = ehr_settings_schema.load(
        {name: value for name, value in (SETTINGS | changed).items() if value is not None}
    )
    return read


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("ENABLE", OrderAction.ENABLE_REPORTS),
        ("DISABLE", OrderAction.DISABLE_REPORTS),
        ("CREATE", OrderAction.CREATE_ACCOUNT),
        ("BOTH", OrderAction.CREATE_ACCOUNT_AND_ENABLE_REPORTS),
        ("enable", None),
        ("ENABLE ", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_procedure_code_says_what_is_asked_for(code: Any, action: OrderAction | None) -> None:
    assert requested_action(_settings(procedureCodes=CODES), order(code)) is action


def test_first_of_equal_codes_counts() -> None:
    codes = dict.fromkeys(reversed(CODES), "SAME")
    assert requested_action(_settings(procedureCodes=codes), order("SAME")) is OrderAction.ENABLE_REPORTS


@pytest.mark.parametrize("codes", [None, {}, {"disableSummaryReports": "DISABLE"}])
def test_clinic_without_codes_asks_for_nothing(codes: Any) -> None:
    assert requested_action(_settings(procedureCodes=codes), order("CREATE")) is None


def test_empty_code_in_the_settings_fits_no_order() -> None:
    assert requested_action(_settings(procedureCodes={"createAccountAndEnableReports": ""}), order("")) is None


@pytest.mark.parametrize("part", [None, "text", [], {"Procedure": "ENABLE"}])
def test_order_without_a_procedure_asks_for_nothing(part: Any) -> None:
    assert requested_action(_settings(procedureCodes=CODES), order(Order=part)) is None


@pytest.mark.parametrize(("birth_date", "email"), [(ADULT, "carol@mail.example"), (CHILD, "gail@mail.example")])
def test_account_of_a_child_has_the_address_of_the_guarantor(birth_date: date, email: str) -> None:
    assert email_of_order(order(), birth_date, NOW) == email


def _with_addresses(addresses: Any) -> dict[str, Any]:
    return order(Patient={"Demographics": {"EmailAddresses": addresses}})


@pytest.mark.parametrize("addresses", [None, [], [None], [""], {}, "carol@mail.example"])
def test_order_without_an_address(addresses: Any) -> None:
    assert email_of_order(_with_addresses(addresses), ADULT, NOW) is None


@pytest.mark.parametrize("visit", [None, {}, {"Guarantor": None}])
def test_child_without_a_guarantor_has_no_address(visit: Any) -> None:
    assert email_of_order(order(Visit=visit), CHILD, NOW) is None


@pytest.mark.parametrize("address", [7, {"Address": "a@b.example"}, "carol", "Carol <carol@mail.example>", "a@b@c"])
def test_address_that_is_none_is_refused(address: Any) -> None:
    with pytest.raises(UnusableOrder) as refusal:
        email_of_order(_with_addresses([address]), ADULT, NOW)
    assert str(address) not in refusal.value.message


def test_record_of_a_new_patient() -> None:
    assert new_patient(order(), CAROL, NOW) == {
        "full_name": "Carol Cooper",
        "birth_date": "1987-04-12",
        "mrn": "MRN-20417",
        "email": "carol@mail.example",
    }


@pytest.mark.parametrize("missing", ["FirstName", "LastName"])
def test_new_patient_needs_both_names(missing: str) -> None:
    demographics = {"FirstName": "Carol", "LastName": "Cooper"}
    del demographics[missing]
    with pytest.raises(UnusableOrder, match="name"):
        new_patient(order(Patient={"Demographics": demographics}), CAROL, NOW)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mrn": "   "}, "medical record number"),
        ({"mrn": "7" * 256}, "medical record number"),
        ({"full_name": "C" * 256}, "name of the patient"),
        ({"full_name": "\x00"}, "name of the patient"),
        ({"birth_date": "12.04.1987"}, "date of birth"),
        ({"birth_date": "1987-02-30"}, "date of birth"),
        ({"birth_date": "19870412"}, "date of birth"),
    ],
)
def test_what_no_answer_could_show_is_not_recorded(changed: dict[str, str], words: str) -> None:
    with pytest.raises(UnusableOrder, match=words) as refusal:
        new_patient(order(), CAROL._replace(**changed), NOW)
    assert not any(value in refusal.value.message for value in changed.values())


def _with_infos(*infos: Any) -> dict[str, Any]:
    return order(Order={"ClinicalInfo": list(infos)})


def test_tags_stand_in_the_clinical_information_that_the_clinic_has_chosen() -> None:
    sent = _with_infos(
        {"Code": "TAG", "Value": " Pump "},
        {"Code": "OTHER", "Value": "no tag"},
        {"Code": "SITE", "Value": "North"},
        {"Code": "TAG", "Value": "Pump"},
        {"Code": "TAG", "Value": "  "},
        {"Code": "TAG", "Value": 7},
        {"Code": "TAG"},
        "TAG",
    )
    assert tag_names(_settings(tags={"codes": ["TAG", "SITE"]}), sent) == ["Pump", "North"]


def test_separator_divides_a_value_into_several_tags() -> None:
    sent = _with_infos({"Code": "TAG", "Value": "Pump; North;;"}, {"Code": "TAG", "Value": "a,b"})
    assert tag_names(_settings(tags={"codes": ["TAG"], "separator": ";"}), sent) == ["Pump", "North", "a,b"]


@pytest.mark.parametrize("tags", [{}, {"codes": None}, {"codes": []}])
def test_clinic_that_takes_no_tags_from_orders(tags: Any) -> None:
    assert tag_names(_settings(tags=tags), _with_infos({"Code": "TAG", "Value": "Pump"})) is None


@pytest.mark.parametrize("order_part", [None, {}, {"ClinicalInfo": {}}, {"ClinicalInfo": []}])
def test_order_without_tags(order_part: Any) -> None:
    assert tag_names(_settings(tags={"codes": ["TAG"]}), order(Order=order_part)) == []
