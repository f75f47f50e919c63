"""Reads accounts and profiles from JSON documents. All data of a directory enters this program here.

Users and other programs can store any text in accounts and profiles. This module changes it into values that the spec can
show and the database can store, so that no data of a directory makes an answer invalid. Long names are cut. Numbers,
addresses, dates and devices that the spec cannot show are treated as absent, because a part of a number or an address
would be a different number or address. Members of a wrong type are treated as absent as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clinic_service import clock
from clinic_service.errors import BadGateway
from clinic_service.gateways.accounts.protocol import Account, Profile
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.texts import MAX_EMAIL_LENGTH, is_email, is_storable, storable

# The members in which directories name the clinic that created the account.
_CUSTODIANS = ("custodian", "clinicId", "createdUserId")
MAX_TEXT_LENGTH = 255
# The maximum number of devices in the spec; also used for other lists.
MAX_ITEMS = 100
# The accounts service generates an address for accounts without an address. Nobody reads such an address, so it is never
# shown.
_GENERATED_ADDRESS = "unclaimed-custodial-automation+"


def account_from_document(document: Mapping[str, Any]) -> Account:
    """The account in `document`. Raises BadGateway when it has no valid user id."""
    user_id = document.get("userid")
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise BadGateway
    emails = dict.fromkeys(filter(None, map(address, _items(document, "emails"))))
    return Account(
        user_id=user_id,
        username=address(document.get("username")) or "",
        emails=tuple(emails)[:MAX_ITEMS],
        roles=tuple(filter(None, map(label, _items(document, "roles")))),
        created_time=_moment(document.get("createdTime")),
        is_verified=document.get("emailVerified") is True,
        custodian_id=next(filter(None, map(label, map(document.get, _CUSTODIANS))), None),
    )


def profile_from_document(document: Mapping[str, Any]) -> Profile:
    """The profile in `document`."""
    patient = document.get("patient")
    if not isinstance(patient, Mapping):
        patient = {}
    return Profile(
        full_name=name(document.get("fullName")),
        patient_full_name=name(patient.get("fullName")),
        birthday=day(patient.get("birthday")),
        mrn=label(patient.get("mrn")),
        target_devices=_devices(patient.get("targetDevices")),
        diagnosis_date=day(patient.get("diagnosisDate")),
        is_other_person=_flag(patient.get("isOtherPerson")),
    )


def patient_document(profile: Profile) -> dict[str, Any] | None:
    """The part of `profile` about the patient; None when nothing is known."""
    members = {
        "fullName": profile.patient_full_name,
        "birthday": profile.birthday,
        "mrn": profile.mrn,
        "targetDevices": profile.target_devices,
        "diagnosisDate": profile.diagnosis_date,
        "isOtherPerson": profile.is_other_person,
    }
    return {name: value for name, value in members.items() if value is not None} or None


def name(value: object) -> str | None:
    """A name without white space around it, cut to the length that the spec can show; None when it is empty or no text."""
    return storable(value).strip()[:MAX_TEXT_LENGTH].strip() or None if isinstance(value, str) else None


def label(value: object) -> str | None:
    """A number or another text that must not be cut, without white space around it; None when the spec cannot show it."""
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= MAX_TEXT_LENGTH and is_storable(text) else None


def address(value: object) -> str | None:
    """An e-mail address in lower case; None for an invalid one, and for one that the accounts service generated."""
    # Changed to lower case before the check, because the lower case of some letters is longer.
    text = value.strip().lower() if isinstance(value, str) else ""
    fits = is_email(text) and len(text) <= MAX_EMAIL_LENGTH and is_storable(text)
    return text if fits and not text.startswith(_GENERATED_ADDRESS) else None


def day(value: object) -> str | None:
    """A date of the calendar as YYYY-MM-DD; None for anything else, and for an unknown date."""
    text = value.strip() if isinstance(value, str) else ""
    return clock.known_date(text) if clock.is_date(text) else None


def _moment(value: object) -> datetime | None:
    """A point in time; None for one without a time zone, which would be ambiguous."""
    try:
        moment = datetime.fromisoformat(value.upper()) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _devices(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    return tuple(filter(None, map(label, value)))[:MAX_ITEMS]


def _items(document: Mapping[str, Any], member: str) -> list[Any]:
    value = document.get(member)
    return value if isinstance(value, list) else []
