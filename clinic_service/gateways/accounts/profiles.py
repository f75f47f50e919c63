"""Profiles as JSON documents, in the form that the profiles service and the embedded directory share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from clinic_service.errors import BadGateway
from clinic_service.gateways.accounts.protocol import Profile


def profile_from_document(document: Mapping[str, Any]) -> Profile:
    """The profile that `document` describes. Raises BadGateway when a member has the wrong type."""
    patient = document.get("patient") or {}
    if not isinstance(patient, Mapping):
        raise BadGateway
    return Profile(
        full_name=_text(document, "fullName"),
        patient_full_name=_text(patient, "fullName"),
        birthday=_date(_text(patient, "birthday")),
        mrn=_text(patient, "mrn"),
        target_devices=_texts(patient, "targetDevices"),
        diagnosis_date=_date(_text(patient, "diagnosisDate")),
        is_other_person=_flag(patient, "isOtherPerson"),
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


def is_date(text: str) -> bool:
    """Whether `text` is a day of the calendar, written YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _text(document: Mapping[str, Any], name: str) -> str | None:
    """A text without the space around it; None when it is absent or blank."""
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise BadGateway
    return (value.strip() or None) if value else None


def _flag(document: Mapping[str, Any], name: str) -> bool | None:
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadGateway
    return value


def _date(text: str | None) -> str | None:
    # People have typed all kinds of birthdays into profiles; one that is no date says nothing, and harms nobody.
    return text if text and is_date(text) else None


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    values = document.get(name)
    if values is None:
        return None
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise BadGateway
    return tuple(values)
