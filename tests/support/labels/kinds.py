"""The two kinds of labels, and what their suites have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, PatientSite, PatientTag, Site, Tag
from clinic_service.resources.labels.errors import DuplicateName
from clinic_service.resources.labels.repository import LabelRepository
from clinic_service.resources.sites.errors import DuplicateSiteName
from clinic_service.resources.sites.service import create_site, delete_site
from clinic_service.resources.tags.errors import DuplicateTagName
from clinic_service.resources.tags.service import create_tag, delete_tag
from clinic_service.unit_of_work import UnitOfWork
from tests.support.rows import make_label, place_patient, tag_patient
from tests.support.tags_and_sites import make_labels, names, patients_with


@dataclass(frozen=True)
class Kind:
    """A kind of labels: its model, its names on the wire and its functions."""

    model: type[Tag] | type[Site]
    # The column of the table of links that refers to the label.
    label_id: Any
    path: str
    path_id: str
    member_of_clinic: str
    longest_name: int
    duplicate_name: type[DuplicateName]
    repository: Callable[[UnitOfWork], LabelRepository[Any]]
    create: Callable[[UnitOfWork, str, str], str]
    delete: Callable[[UnitOfWork, str, str], None]
    give_to_patient: Callable[..., None]
    # The ids of the labels in a patient as GetPatient shows it.
    ids_of_patient: Callable[[Any], list[str]]


TAGS = Kind(
    model=Tag,
    label_id=PatientTag.tag_id,
    path="patient_tags",
    path_id="patientTagId",
    member_of_clinic="patientTags",
    longest_name=20,
    duplicate_name=DuplicateTagName,
    repository=lambda unit: unit.tags,
    create=create_tag,
    delete=delete_tag,
    give_to_patient=tag_patient,
    ids_of_patient=lambda patient: patient["tags"],
)
SITES = Kind(
    model=Site,
    label_id=PatientSite.site_id,
    path="sites",
    path_id="siteId",
    member_of_clinic="sites",
    longest_name=200,
    duplicate_name=DuplicateSiteName,
    repository=lambda unit: unit.sites,
    create=create_site,
    delete=delete_site,
    give_to_patient=place_patient,
    ids_of_patient=lambda patient: [site["id"] for site in patient["sites"]],
)


class LabelPlace(NamedTuple):
    """The ids of a clinic and one of its labels."""

    clinic_id: str
    label_id: str


@pytest.mark.usefixtures("frozen_clock")
class LabelTests:
    """The base of the suites."""

    kind: ClassVar[Kind]

    def names(self, database: Database, clinic_id: str) -> list[str]:
        """The names of the clinic's labels, oldest first."""
        return names(database, self.kind.model, clinic_id)

    def make(self, unit: UnitOfWork, clinic: Clinic, name: str) -> Any:
        """A label of the clinic."""
        return make_label(unit, clinic, self.kind.model, name)

    def make_numbered(self, unit: UnitOfWork, clinic: Clinic, numbers: Iterable[int]) -> None:
        """Labels with the names `Label 0`, `Label 1` and so on."""
        make_labels(unit, clinic, self.kind.model, numbers)

    def patients_with(self, database: Database, label_id: str) -> set[str]:
        """The user ids of the patients who have the label."""
        return patients_with(database, self.kind.label_id, label_id)
