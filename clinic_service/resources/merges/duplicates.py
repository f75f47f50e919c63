"""Records within one clinic that may be of the same person, in groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clinic_service.resources.merges.facts import PatientFacts
from clinic_service.resources.merges.matching import Conflict, Lookup

_Key = tuple[str, str]


class Duplicate(NamedTuple):
    """A patient, and the records of the same clinic that may be of the same person."""

    patient: PatientFacts
    conflicts: tuple[Conflict, ...]


@dataclass
class Duplicates:
    """Those patients of a clinic who have conflicts within it, collected as its patients go by."""

    _found: list[Duplicate] = field(default_factory=list)

    def add(self, patients: Iterable[PatientFacts], others: Lookup) -> None:
        """`others` has at least those patients of the clinic who share name or medical record number with one of these."""
        found = (Duplicate(patient, others.conflicts(patient)) for patient in patients)
        self._found += (one for one in found if one.conflicts)

    def groups(self) -> Iterator[Sequence[Duplicate]]:
        """The patients by groups, in the order in which they came: each has a conflict with another one of its group."""
        groups: defaultdict[_Key, list[Duplicate]] = defaultdict(list)
        joined = _joined(_keys(one.patient) for one in self._found)
        for one in self._found:
            groups[joined[_keys(one.patient)[0]]].append(one)
        yield from groups.values()


def _keys(patient: PatientFacts) -> list[_Key]:
    """What connects a patient to others: whoever has a conflict with somebody shares the name or the number."""
    shared = {"name": patient.compared_name, "mrn": patient.mrn_key}
    return [(what, value) for what, value in shared.items() if value]


def _joined(sets: Iterable[Sequence[_Key]]) -> dict[_Key, _Key]:
    """For each key the one that stands for all that are connected with it, by sets that have a key in common."""
    parent: dict[_Key, _Key] = {}

    def root(key: _Key) -> _Key:
        parent.setdefault(key, key)
        while parent[key] != key:
            # Halves the way for the next time.
            parent[key] = key = parent[parent[key]]
        return key

    for keys in sets:
        for key in keys[1:]:
            parent[root(key)] = root(keys[0])
        root(keys[0])
    return {key: root(key) for key in parent}
