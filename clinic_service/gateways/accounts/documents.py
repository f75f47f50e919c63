"""Accounts and profiles as JSON documents: the one place where what a directory says enters this program.

People, and other programs, have written all kinds of things into accounts and profiles. Here they become what the spec
can show and the database can store, so that nothing a directory says makes an answer invalid, today or later: names are
cut; numbers, addresses, dates and devices that the spec cannot show count as absent, since a part of one would be
another one; so does a member of a wrong type.
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

# Members by which directories name the clinic that had an account made.
_CUSTODIANS = ("custodian", "clinicId", "createdUserId")
MAX_TEXT_LENGTH = 255
# Devices as the spec has it, and enough of anything else.
MAX_ITEMS = 100
# The accounts service makes up an address for accounts that have none. It is nobody's, so nobody gets to see it.
_MADE_UP_ADDRESS = "unclaimed-custodial-automation+"


def account_from_document(document: Mapping[str, Any]) -> Account:
    """The account that `document` describes. Raises BadGateway when it does not tell whose it is."""
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
    """The profile that `document` describes."""
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
    """The patient's part of `profile`; None when nothing is known."""
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
    """A name without the space around it, cut to what the spec can show; None when nothing is left."""
    return storable(value).strip()[:MAX_TEXT_LENGTH].strip() or None if isinstance(value, str) else None


def label(value: object) -> str | None:
    """A number or another text that means the whole of it, without the space around it."""
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= MAX_TEXT_LENGTH and is_storable(text) else None


def address(value: object) -> str | None:
    """An e-mail address in lower case; None for one that the directory made up."""
    # First, because some letters have a longer lower case.
    text = value.strip().lower() if isinstance(value, str) else ""
    fits = is_email(text) and len(text) <= MAX_EMAIL_LENGTH and is_storable(text)
    return text if fits and not text.startswith(_MADE_UP_ADDRESS) else None


def day(value: object) -> str | None:
    """A day of the calendar, written YYYY-MM-DD."""
    text = value.strip() if isinstance(value, str) else ""
    return text if clock.is_date(text) else None


def _moment(value: object) -> datetime | None:
    """A point in time; one without a time zone could be any of several."""
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
