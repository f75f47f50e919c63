"""Reads the requested action and the patient's data from a Redox order.

`settings` are EHR settings as `ehr_settings_schema` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

from clinic_service import clock
from clinic_service.errors import BadRequest
from clinic_service.gateways.accounts.documents import MAX_TEXT_LENGTH, address
from clinic_service.resources.ehr.matching import PatientData, is_child
from clinic_service.resources.ehr.redox.members import items, member, text
from clinic_service.texts import is_storable

_DEMOGRAPHICS = ("Patient", "Demographics")


class OrderAction(StrEnum):
    """The action that an order requests. The values are the names of the codes in the settings, in order of precedence."""

    ENABLE_REPORTS = "enable_summary_reports"
    DISABLE_REPORTS = "disable_summary_reports"
    CREATE_ACCOUNT = "create_account"
    CREATE_ACCOUNT_AND_ENABLE_REPORTS = "create_account_and_enable_reports"


class UnusableOrder(BadRequest):
    """The order lacks data that an account needs, or has invalid data."""


def requested_action(settings: SimpleNamespace, order: Mapping[str, Any]) -> OrderAction | None:
    """The action for the order's procedure code in the clinic's settings; None when there is none."""
    code = text(order, "Order", "Procedure", "Code")
    if code is None:
        return None
    return next((action for action in OrderAction if getattr(settings.procedure_codes, action, None) == code), None)


def new_patient(order: Mapping[str, Any], data: PatientData, now: datetime) -> dict[str, Any]:
    """The record of a new patient, as members of a `PatientRecordSchema`, without tags.

    Raises UnusableOrder.
    """
    if not (text(order, *_DEMOGRAPHICS, "FirstName") and text(order, *_DEMOGRAPHICS, "LastName")):
        raise UnusableOrder("The order does not contain the first and the last name of the patient.")
    if not _can_be_shown(data.full_name):
        raise UnusableOrder("The name of the patient in the order is not valid.")
    if not _can_be_shown(data.mrn):
        raise UnusableOrder("The medical record number in the order is not valid.")
    if not clock.is_date(data.birth_date):
        raise UnusableOrder("The date of birth in the order is not valid.")
    return {
        "full_name": data.full_name,
        "birth_date": clock.known_date(data.birth_date),
        "mrn": data.mrn,
        "email": email_of_order(order, date.fromisoformat(data.birth_date), now),
    }


def email_of_order(order: Mapping[str, Any], birth_date: date, now: datetime) -> str | None:
    """The address for the patient's account: for a child that of the guarantor, else the patient's own; None without one.

    Raises UnusableOrder when it is not a valid address.
    """
    if is_child(birth_date, now.date()):
        found = member(order, "Visit", "Guarantor", "EmailAddresses", 0)
    else:
        found = member(order, *_DEMOGRAPHICS, "EmailAddresses", 0)
    if found is None or found == "":
        return None
    email = address(found)
    if email is None:
        raise UnusableOrder("The e-mail address in the order is not valid.")
    return email


def tag_names(settings: SimpleNamespace, order: Mapping[str, Any]) -> list[str] | None:
    """The names of tags in the order, each once; None when the clinic's settings do not take tags from orders."""
    codes = settings.tags.codes
    if not codes:
        return None
    separator = settings.tags.separator
    values = [text(info, "Value") for info in items(order, "Order", "ClinicalInfo") if member(info, "Code") in codes]
    names = (name.strip() for value in values if value for name in (value.split(separator) if separator else [value]))
    return list(dict.fromkeys(name for name in names if name))


def _can_be_shown(value: str) -> bool:
    """Whether the spec admits the text as a name or as a medical record number in responses."""
    return bool(value.strip()) and len(value) <= MAX_TEXT_LENGTH and is_storable(value)
