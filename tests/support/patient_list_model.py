"""What a patient list has to be, in plain Python over patients as clients see them: slow, and easy to believe.

It is written from the rules of the published API and shares nothing with the service but the place of a name among
others, which has a test of its own.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from unicodedata import normalize

from clinic_service.models.sort_keys import name_key
from tests.support.patient_lists import flag_of

Patient = Mapping[str, Any]
Query = Mapping[str, str]

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_DATES = ("lastUploadDate", "lastData", "firstData", "outdatedSince")
_FLAGLESS = re.compile(r".*Delta|min|max|(hours|days)WithData|standardDeviation|coefficientOfVariation")
_MEANT, _NOT_MEANT, _NOTHING = range(3)


def listed(patients: Sequence[Patient], query: Query) -> list[Patient]:
    """Those of `patients`, who stand in order of creation, that `query` finds, in its order."""
    found = [patient for patient in patients if _matches(patient, query)]
    sort, kind = query.get("sort", "+fullName"), query.get("sortType", "cgm")
    places = {id(patient): _place(patient, sort[1:], kind, _period(query)) for patient in found}
    # Both sorts leave equal ones as they stand, also in reverse.
    found.sort(key=lambda patient: _lowest_first(places[id(patient)][1]), reverse=sort[0] == "-")
    found.sort(key=lambda patient: places[id(patient)][0])
    return found


def _period(query: Query) -> str:
    return query.get("period", "14d")


def _lowest_first(value: Any) -> tuple[bool, Any]:
    return (False, 0) if value is None else (True, value)


def _place(patient: Patient, field: str, kind: str, period: str) -> tuple[int, Any]:
    """The group that a patient is in, and the value within."""
    if field == "fullName":
        return _MEANT, name_key(patient["fullName"])
    if field == "birthDate":
        return _MEANT, patient["birthDate"]
    if field == "lastReviewed":
        return _MEANT, _last_review(patient)
    stats = patient["summary"].get(f"{kind}Stats", {})
    values = stats.get("dates", {}) if field in _DATES else stats.get("periods", {}).get(period, {})
    value = _time(values.get(field)) if field in _DATES else values.get(field)
    if _FLAGLESS.fullmatch(field):
        return (_NOTHING if value is None else _MEANT), value
    if flag_of(field) not in values:
        return _NOTHING, None
    return (_MEANT if values[flag_of(field)] else _NOT_MEANT), value


def _caseless(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).casefold())


def _matches(patient: Patient, query: Query) -> bool:
    return all(_holds(patient, name, value, query) for name, value in query.items())


def _holds(patient: Patient, name: str, value: str, query: Query) -> bool:
    match name.split("."):
        case ["search"]:
            fields = (patient[field] for field in ("fullName", "email", "mrn", "birthDate"))
            return any(_caseless(value) in _caseless(field) for field in fields if field is not None)
        case ["tags"]:
            return _ids(value) <= set(patient["tags"]) if _ids(value) else not patient["tags"]
        case ["sites"]:
            return bool(_ids(value) & set(patient["sites"])) if _ids(value) else not patient["sites"]
        case ["lastReviewed"]:
            last = _last_review(patient)
            return last is not None and last <= datetime.fromisoformat(value)
        case ["omitNonStandardRanges"]:
            ranges = patient["glycemicRanges"]
            return value == "false" or ranges is None or ranges.get("preset") == "adaStandard"
        case [kind, "lastDataFrom"]:
            last = _last_data(patient, kind)
            return last is not None and last >= datetime.fromisoformat(value)
        case [kind, "lastDataTo"]:
            last = _last_data(patient, kind)
            return last is not None and last < datetime.fromisoformat(value)
        case [kind, field]:
            return _compares(patient, kind, _period(query), field, value)
    return True


def _ids(items: str) -> set[str]:
    return {item for item in items.split(",") if re.fullmatch("[0-9a-f]{24}", item)}


def _last_review(patient: Patient) -> datetime | None:
    return max(map(datetime.fromisoformat, patient["reviews"]), default=None)


def _last_data(patient: Patient, kind: str) -> datetime | None:
    return _time(patient["summary"].get(f"{kind}Stats", {}).get("dates", {}).get("lastData"))


def _time(text: str | None) -> datetime | None:
    return None if text is None or text.startswith("0001") else datetime.fromisoformat(text)


def _compares(patient: Patient, kind: str, period: str, field: str, condition: str) -> bool:
    found = patient["summary"].get(f"{kind}Stats", {}).get("periods", {}).get(period, {}).get(field)
    parts = re.fullmatch("([<>]=?)(.*)", condition)
    assert parts
    return found is not None and bool(_OPERATORS[parts[1]](found, float(parts[2])))
