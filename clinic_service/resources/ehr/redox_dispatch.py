"""What a Redox order asks for, and what it says about a patient who is to get an account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from clinic_service.errors import BadRequest
from clinic_service.gateways.accounts.documents import address
from clinic_service.resources.ehr.redox_order import items, member, text

ADULT_AGE = 13


class Action(StrEnum):
    """What an order asks for; also the names of the codes in the settings, in the order in which they are looked at."""

    ENABLE_REPORTS = "enableSummaryReports"
    DISABLE_REPORTS = "disableSummaryReports"
    CREATE_ACCOUNT = "createAccount"
    CREATE_ACCOUNT_AND_ENABLE_REPORTS = "createAccountAndEnableReports"


class UnusableAddress(BadRequest):
    """What stands in the order for the patient's address is none."""

    message = "The e-mail address in the order is not valid."


def requested_action(settings: Mapping[str, Any], order: Mapping[str, Any]) -> Action | None:
    """The action that the clinic has chosen the order's procedure code for; None when there is none."""
    code = text(order, "Order", "Procedure", "Code")
    if code is None:
        return None
    return next((action for action in Action if text(settings, "procedureCodes", action) == code), None)


def is_child(birth_date: date, today: date) -> bool:
    """Whether the 13th birthday is still to come. A 29 February birthday falls on 1 March in a common year."""
    years, before = today.year - birth_date.year, (today.month, today.day) < (birth_date.month, birth_date.day)
    return years - before < ADULT_AGE


def email_of_order(order: Mapping[str, Any], birth_date: date, now: datetime) -> str | None:
    """The address for the patient's account: that of the guarantor for a child, else the patient's own, if any.

    Raises UnusableAddress.
    """
    if is_child(birth_date, now.date()):
        found = member(order, "Visit", "Guarantor", "EmailAddresses", 0)
    else:
        found = member(order, "Patient", "Demographics", "EmailAddresses", 0)
    if found is None or found == "":
        return None
    email = address(found)
    if email is None:
        raise UnusableAddress
    return email


def tag_names(settings: Mapping[str, Any], order: Mapping[str, Any]) -> list[str] | None:
    """The names of tags in the order, each once; None when the clinic takes no tags from orders."""
    codes = items(settings, "tags", "codes")
    if not codes:
        return None
    separator = text(settings, "tags", "separator")
    values = [text(info, "Value") for info in items(order, "Order", "ClinicalInfo") if member(info, "Code") in codes]
    names = (name.strip() for value in values if value for name in (value.split(separator) if separator else [value]))
    return list(dict.fromkeys(name for name in names if name))
