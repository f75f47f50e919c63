"""Finds records of patients that may be of the same person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from clinic_service.resources.merges.facts import PatientFacts

# The maximum number of matches of one patient, the strongest first. A placeholder name can match every patient.
MOST_CONFLICTS = 100


class Category(StrEnum):
    """The degree to which two records agree, the strongest first."""

    DUPLICATE_ACCOUNTS = "Duplicate Accounts"
    LIKELY_DUPLICATE_ACCOUNTS = "Likely Duplicate Accounts"
    MRN_ONLY = "MRN Only Match"
    NAME_ONLY = "Name Only Match"


class RecordConflict(NamedTuple):
    """A record that may be of the same person as another record, and the degree to which both agree."""

    category: Category
    patient: PatientFacts


_USER, _MRN = ("user_id",), ("mrn_key",)
# The values that two records must share for each category. The first rule that fits counts. An equal birth date alone
# is no match.
_RULES: tuple[tuple[Category, tuple[str, ...]], ...] = (
    (Category.DUPLICATE_ACCOUNTS, _USER),
    (Category.LIKELY_DUPLICATE_ACCOUNTS, ("compared_name", "birth_date")),
    (Category.LIKELY_DUPLICATE_ACCOUNTS, ("compared_name", "mrn_key")),
    (Category.LIKELY_DUPLICATE_ACCOUNTS, ("birth_date", "mrn_key")),
    (Category.MRN_ONLY, _MRN),
    (Category.NAME_ONLY, ("compared_name",)),
)


class Lookup:
    """Records of one clinic, which are found by values that they share with another record. Blank values never match."""

    def __init__(self, patients: Iterable[PatientFacts]) -> None:
        self._found: defaultdict[tuple[object, ...], list[PatientFacts]] = defaultdict(list)
        for patient in patients:
            for _, members in _RULES:
                key = _key(patient, members)
                if key:
                    self._found[key].append(patient)

    def conflicts(self, patient: PatientFacts) -> tuple[RecordConflict, ...]:
        """The records that may be of the same person as `patient`: at most 100, the strongest match first."""
        return tuple(islice(self._conflicts(patient), MOST_CONFLICTS))

    def same_user(self, patient: PatientFacts) -> PatientFacts | None:
        """The record of the same user; None when there is none."""
        return next(self._sharing(patient, _USER), None)

    def shares_mrn(self, patient: PatientFacts) -> bool:
        """Whether another record has the same medical record number."""
        return next(self._sharing(patient, _MRN), None) is not None

    def _conflicts(self, patient: PatientFacts) -> Iterator[RecordConflict]:
        found = set[str]()
        for category, members in _RULES:
            for other in self._sharing(patient, members):
                if other.id not in found:
                    found.add(other.id)
                    yield RecordConflict(category, other)

    def _sharing(self, patient: PatientFacts, members: tuple[str, ...]) -> Iterator[PatientFacts]:
        key = _key(patient, members)
        return (other for other in self._found.get(key, ()) if other.id != patient.id) if key else iter(())


def _key(patient: PatientFacts, members: tuple[str, ...]) -> tuple[object, ...] | None:
    values = [getattr(patient, member) for member in members]
    return (members, *values) if all(values) else None
