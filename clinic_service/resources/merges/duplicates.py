"""Groups of records within one clinic that may be of the same person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clinic_service.resources.merges.facts import PatientFacts
from clinic_service.resources.merges.matching import Lookup, RecordConflict

_Key = tuple[str, str]


class Duplicate(NamedTuple):
    """A patient, and the records of the same clinic that may be of the same person."""

    patient: PatientFacts
    conflicts: tuple[RecordConflict, ...]


@dataclass
class Duplicates:
    """The patients of a clinic who have conflicts within it, collected batch by batch."""

    _found: list[Duplicate] = field(default_factory=list)

    def add(self, patients: Iterable[PatientFacts], others: Lookup) -> None:
        """Collect those of `patients` who have conflicts.

        `others` has at least the patients of the clinic who share a name or a medical record number with one of `patients`.
        """
        found = (Duplicate(patient, others.conflicts(patient)) for patient in patients)
        self._found += (one for one in found if one.conflicts)

    def groups(self) -> Iterator[Sequence[Duplicate]]:
        """The groups, in the order of their first patients. Each patient has a conflict with another one of the group."""
        groups: defaultdict[_Key, list[Duplicate]] = defaultdict(list)
        joined = _joined(_keys(one.patient) for one in self._found)
        for one in self._found:
            groups[joined[_keys(one.patient)[0]]].append(one)
        yield from groups.values()


def _keys(patient: PatientFacts) -> list[_Key]:
    """The keys of a patient. Two patients with a conflict share at least one key: the name or the number."""
    shared = {"name": patient.compared_name, "mrn": patient.mrn_key}
    return [(what, value) for what, value in shared.items() if value]


def _joined(sets: Iterable[Sequence[_Key]]) -> dict[_Key, _Key]:
    """A representative for each key (union-find). Keys of sets with a common key have the same representative."""
    parent: dict[_Key, _Key] = {}

    def root(key: _Key) -> _Key:
        parent.setdefault(key, key)
        while parent[key] != key:
            # Path halving: shortens the path for the next search.
            parent[key] = key = parent[parent[key]]
        return key

    for keys in sets:
        for key in keys[1:]:
            parent[root(key)] = root(keys[0])
        root(keys[0])
    return {key: root(key) for key in parent}
