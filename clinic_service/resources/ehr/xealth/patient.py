"""Reads the patient's data in a request or an order of Xealth.

Requests are valid against the spec. Orders come from another system: a value of an unexpected type counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from clinic_service import clock
from clinic_service.errors import Violation
from clinic_service.gateways.accounts.documents import MAX_TEXT_LENGTH
from clinic_service.resources.ehr.errors import BirthDateMissing, DemographicsMissing, MrnMissing, PatientNameMissing
from clinic_service.resources.ehr.matching import PatientData, find_mrn
from clinic_service.texts import is_storable, storable

_IDS, _DEMOGRAPHICS = "/patientIdentity/ids", "/datasets/demographicsV1"


class XealthPatient(NamedTuple):
    """The patient's data, and the first e-mail address among the contact data, which may be invalid."""

    data: PatientData
    email: str | None


def read_patient(document: Mapping[str, Any], mrn_id_type: str, *, place: str | None = None) -> XealthPatient:
    """The patient of `document`, which has the members `patientIdentity` and `datasets`.

    Raises DemographicsMissing, MrnMissing, BirthDateMissing and PatientNameMissing, in this order. Their violations
    point to the missing member of the request's body; or to `place`, the part of the request that names the document.
    """
    demographics = _object(_object(document.get("datasets")).get("demographicsV1"))
    if not demographics:
        raise DemographicsMissing(violations=_missing(_DEMOGRAPHICS, place))
    mrn = _mrn(document, mrn_id_type)
    if mrn is None:
        raise MrnMissing(violations=_missing(_IDS, place))
    birth_date = demographics.get("birthDate")
    if not isinstance(birth_date, str) or not clock.is_date(birth_date):
        raise BirthDateMissing(violations=_missing(f"{_DEMOGRAPHICS}/birthDate", place))
    full_name = _full_name(demographics)
    if not full_name:
        raise PatientNameMissing(violations=_missing(f"{_DEMOGRAPHICS}/name", place))
    return XealthPatient(PatientData(mrn, birth_date, full_name), _email(demographics))


def _missing(member: str, place: str | None) -> list[Violation]:
    return [Violation(f"/body{member}", "required") if place is None else Violation(place, "state")]


def _mrn(document: Mapping[str, Any], mrn_id_type: str) -> str | None:
    """The medical record number; None when it is blank or cannot be stored unchanged."""
    ids = map(_object, _list(_object(document.get("patientIdentity")).get("ids")))
    mrn = find_mrn(((one.get("type"), one.get("id")) for one in ids), mrn_id_type)
    fits = mrn is not None and mrn.strip() and len(mrn) <= MAX_TEXT_LENGTH and is_storable(mrn)
    return mrn if fits else None


def _full_name(demographics: Mapping[str, Any]) -> str:
    """All given names and all family names, truncated to the maximum length in a record."""
    name = _object(demographics.get("name"))
    parts = [
        " ".join(part for part in _list(name.get(which)) if isinstance(part, str)) for which in ("given", "family")
    ]
    return storable(" ".join(parts)).strip()[:MAX_TEXT_LENGTH].strip()


def _email(demographics: Mapping[str, Any]) -> str | None:
    ways = map(_object, _list(demographics.get("telecom")))
    value = next((way.get("value") for way in ways if way.get("system") == "email"), None)
    return value if isinstance(value, str) and value else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
