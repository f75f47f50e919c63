"""What an order asks for, and what it says about the patient's account."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from clinic_service.resources.ehr.redox_dispatch import (
    Action,
    UnusableAddress,
    email_of_order,
    is_child,
    requested_action,
    tag_names,
)
from tests.ehr.orders import order

CODES = {
    "enableSummaryReports": "ENABLE",
    "disableSummaryReports": "DISABLE",
    "createAccount": "CREATE",
    "createAccountAndEnableReports": "BOTH",
}
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ADULT, CHILD = date(1987, 4, 12), date(2019, 4, 12)


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("ENABLE", Action.ENABLE_REPORTS),
        ("DISABLE", Action.DISABLE_REPORTS),
        ("CREATE", Action.CREATE_ACCOUNT),
        ("BOTH", Action.CREATE_ACCOUNT_AND_ENABLE_REPORTS),
        ("enable", None),
        ("ENABLE ", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_procedure_code_says_what_is_asked_for(code: Any, action: Action | None) -> None:
    assert requested_action({"procedureCodes": CODES}, order(code)) is action


def test_first_of_equal_codes_counts() -> None:
    codes = dict.fromkeys(reversed(CODES), "SAME")
    assert requested_action({"procedureCodes": codes}, order("SAME")) is Action.ENABLE_REPORTS


@pytest.mark.parametrize("settings", [{}, {"procedureCodes": {}}, {"procedureCodes": {"createAccount": None}}])
def test_clinic_without_codes_asks_for_nothing(settings: dict[str, Any]) -> None:
    assert requested_action(settings, order("CREATE")) is None


def test_empty_code_in_the_settings_fits_no_order() -> None:
    settings = {"procedureCodes": {"createAccountAndEnableReports": ""}}
    assert requested_action(settings, order("")) is None


@pytest.mark.parametrize("part", [None, "text", [], {"Procedure": "ENABLE"}])
def test_order_without_a_procedure_asks_for_nothing(part: Any) -> None:
    assert requested_action({"procedureCodes": CODES}, order(Order=part)) is None


@pytest.mark.parametrize(
    ("birth_date", "today", "expected"),
    [
        (date(2013, 3, 3), date(2026, 3, 2), True),
        (date(2013, 3, 2), date(2026, 3, 2), False),
        (date(2013, 3, 1), date(2026, 3, 2), False),
        (date(2012, 2, 29), date(2025, 2, 28), True),
        (date(2012, 2, 29), date(2025, 3, 1), False),
        (date(2027, 1, 1), date(2026, 3, 2), True),
    ],
)
def test_whoever_is_not_13_yet_is_a_child(birth_date: date, today: date, expected: bool) -> None:
    assert is_child(birth_date, today) is expected


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
    with pytest.raises(UnusableAddress) as refusal:
        email_of_order(_with_addresses([address]), ADULT, NOW)
    assert str(address) not in refusal.value.message


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
    assert tag_names({"tags": {"codes": ["TAG", "SITE"]}}, sent) == ["Pump", "North"]


def test_separator_divides_a_value_into_several_tags() -> None:
    sent = _with_infos({"Code": "TAG", "Value": "Pump; North;;"}, {"Code": "TAG", "Value": "a,b"})
    assert tag_names({"tags": {"codes": ["TAG"], "separator": ";"}}, sent) == ["Pump", "North", "a,b"]


@pytest.mark.parametrize("tags", [None, {}, {"codes": None}, {"codes": []}])
def test_clinic_that_takes_no_tags_from_orders(tags: Any) -> None:
    assert tag_names({"tags": tags}, _with_infos({"Code": "TAG", "Value": "Pump"})) is None


@pytest.mark.parametrize("order_part", [None, {}, {"ClinicalInfo": {}}, {"ClinicalInfo": []}])
def test_order_without_tags(order_part: Any) -> None:
    assert tag_names({"tags": {"codes": ["TAG"]}}, order(Order=order_part)) == []
