"""Finds the clinic to which a message of a health record system belongs, and the patients of the message.

Redox and Xealth have the same rules. Medical record numbers and names are equal when they have equal match keys
(`models.sort_keys.match_key`): letter case and accents are ignored, white space and punctuation are compared. Dates of
birth are compared as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, NamedTuple

from clinic_service.models import EhrProvider
from clinic_service.models.sort_keys import folded, match_key
from clinic_service.resources.ehr.errors import EhrClinicNotFound, SourceShared
from clinic_service.resources.settings.schemas import ehr_settings_schema
from clinic_service.unit_of_work import UnitOfWork

_ADULT_AGE = 13


class Criterion(StrEnum):
    """The values that must be equal for a patient to match."""

    MRN = "MRN"
    MRN_DOB = "MRN_DOB"
    DOB_FULLNAME = "DOB_FULLNAME"


class PatientData(NamedTuple):
    """The patient's data in a message: `birth_date` is YYYY-MM-DD, and no text is empty."""

    mrn: str
    birth_date: str
    full_name: str


class EhrClinic(NamedTuple):
    """A clinic that is enabled for messages, with its EHR settings as `ehr_settings_schema` reads them."""

    id: str
    settings: SimpleNamespace


class MatchedPatient(NamedTuple):
    """The record of a patient who matches: its id, the user id, and the date of birth in the record."""

    id: str
    user_id: str
    birth_date: str | None


def find_clinic(
    uow: UnitOfWork, provider: EhrProvider, source_id: str | None, *, lock: bool = False
) -> EhrClinic | None:
    """The clinic that is enabled for messages of this partner and source; None when there is none.

    `source_id` is the source id of Redox or the deployment of Xealth, compared exactly; an empty one matches no clinic.
    `lock` locks the clinic's row until this unit ends. Raises SourceShared when several clinics have the source.
    """
    if not source_id:
        return None
    found = uow.ehr.find_clinics(provider, source_id, lock=lock)
    if len(found) > 1:
        raise SourceShared
    return EhrClinic(found[0].id, ehr_settings_schema.load(found[0].ehr_settings or {})) if found else None


def get_clinic(uow: UnitOfWork, provider: EhrProvider, source_id: str | None, *, lock: bool = False) -> EhrClinic:
    """As `find_clinic`. Raises EhrClinicNotFound when there is none."""
    clinic = find_clinic(uow, provider, source_id, lock=lock)
    if clinic is None:
        raise EhrClinicNotFound
    return clinic


def find_patients(
    uow: UnitOfWork, clinic_id: str, data: PatientData, criteria: Sequence[Criterion]
) -> list[MatchedPatient]:
    """The patients of the clinic who match one of the criteria, each once, at most 100 for each criterion.

    Matches of the first criterion come first. Matches of one criterion are sorted by name, then by id.
    """
    keys = {
        "mrn_key": match_key(data.mrn),
        "birth_date": data.birth_date,
        "name_key": match_key(data.full_name),
    }
    rows = uow.ehr.match_patients(clinic_id, tuple(dict.fromkeys(criteria)), keys)
    return list({row.id: MatchedPatient(row.id, row.user_id, row.birth_date) for row in rows}.values())


def find_mrn(identifiers: Iterable[tuple[Any, Any]], mrn_id_type: str) -> str | None:
    """The medical record number among `identifiers`, pairs of a type and an id; None when it is missing or empty.

    It is the id of the first pair of the type `mrn_id_type`, in any letter case. A value that is not a text is missing.
    """
    wanted = folded(mrn_id_type)
    texts = ((kind, number) for kind, number in identifiers if isinstance(kind, str))
    number = next((number for kind, number in texts if folded(kind) == wanted), None)
    return number if isinstance(number, str) and number else None


def is_child(birth_date: date, today: date) -> bool:
    """Whether the 13th birthday is after `today`, a day in UTC.

    A person born on 29 February has the birthday on 1 March in a common year.
    """
    year = birth_date.year + _ADULT_AGE
    # Tuples of month and day sort like dates, so 29 February comes before 1 March also in years that do not have it.
    return (today.year, today.month, today.day) < (year, birth_date.month, birth_date.day)
