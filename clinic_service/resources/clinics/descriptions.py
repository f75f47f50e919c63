"""The data of clinics that the API shows, read in a fixed number of statements for any number of clinics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    literal_column,
    select,
    union_all,
)

from clinic_service.db.prepared import Query
from clinic_service.db.repository import Unit
from clinic_service.models import (
    BgUnits,
    Clinic,
    Clinician,
    ClinicSize,
    ClinicType,
    PatientSite,
    PatientTag,
    ShareCode,
    Site,
    Tag,
    Tier,
)
from clinic_service.resources.labels.descriptions import LabelDescription, num_patients


class ClinicRow(NamedTuple):
    """The columns of a clinic that the API shows. Profile members that were never given are None."""

    id: str
    name: str | None
    address: str | None
    city: str | None
    postal_code: str | None
    state: str | None
    country: str | None
    website: str | None
    phone_numbers: list[dict[str, Any]] | None
    clinic_type: ClinicType | None
    clinic_size: ClinicSize | None
    preferred_bg_units: BgUnits | None
    timezone: str | None
    is_migrated: bool
    tier: Tier | None
    suppressed_notifications: dict[str, bool] | None
    created_time: datetime
    updated_time: datetime
    share_code: str
    has_admin: bool


class ClinicDescription(ClinicRow):
    """A clinic with its tags and sites, and the values that are derived from them."""

    patient_tags: list[LabelDescription]
    sites: list[LabelDescription]

    @property
    def can_migrate(self) -> bool:
        """Whether the initial migration can be started.

        It can when the clinic is not migrated yet, its profile is complete, and it has an admin. A glucose unit that is
        only the default does not complete the profile.
        """
        return not self.is_migrated and self.has_admin and all(self._profile_for_migration())

    def _profile_for_migration(self) -> Iterable[str | None]:
        return (
            self.name,
            self.address,
            self.city,
            self.clinic_type,
            self.country,
            self.postal_code,
            self.state,
            self.preferred_bg_units,
        )


_TAG, _SITE = "tag", "site"
_COLUMNS = (
    Clinic.id,
    Clinic.name,
    Clinic.address,
    Clinic.city,
    Clinic.postal_code,
    Clinic.state,
    Clinic.country,
    Clinic.website,
    Clinic.phone_numbers,
    Clinic.clinic_type,
    Clinic.clinic_size,
    Clinic.preferred_bg_units,
    Clinic.timezone,
    Clinic.is_migrated,
    Clinic.tier,
    Clinic.suppressed_notifications,
    Clinic.created_time,
    Clinic.updated_time,
    ShareCode.code.label("share_code"),
)


def _clinics(wanted: ColumnElement[bool], clinic_id: Any) -> Select[*tuple[Any, ...]]:
    """The wanted clinics. `clinic_id` is the parameter of a query for one clinic, else the column."""
    has_admin = exists().where(Clinician.clinic_id == clinic_id, Clinician.counts_as_admin)
    return (
        select(*_COLUMNS, has_admin.label("has_admin"))
        .join(ShareCode, and_(ShareCode.clinic_id == Clinic.id, ShareCode.canonical))
        .where(wanted)
    )


class _CountedRow(NamedTuple):
    """A tag or a site of one of the clinics."""

    kind: str
    clinic_id: str
    id: str
    name: str
    num_patients: int


def _tags_and_sites(
    of_tags: ColumnElement[bool], of_sites: ColumnElement[bool], clinic_id: ColumnElement[str] | None = None
) -> CompoundSelect[*tuple[Any, ...]]:
    """The tags and sites in one statement, with the parameter `clinic_id` when they are of one clinic.

    Ids are in order of creation.
    """
    tag, site = literal_column(f"'{_TAG}'", Text), literal_column(f"'{_SITE}'", Text)
    tagged = num_patients(Tag, PatientTag.tag_id, Tag.clinic_id if clinic_id is None else clinic_id)
    at_site = num_patients(Site, PatientSite.site_id, Site.clinic_id if clinic_id is None else clinic_id)
    return union_all(
        select(tag.label("kind"), Tag.clinic_id, Tag.id, Tag.name, tagged.label("num_patients")).where(of_tags),
        select(site, Site.clinic_id, Site.id, Site.name, at_site).where(of_sites),
    ).order_by("id")


_ID: BindParameter[str] = bindparam("clinic_id")
_CLINIC = Query(ClinicRow, _clinics(Clinic.id == _ID, _ID))
_TAGS_AND_SITES_OF_ONE = Query(_CountedRow, _tags_and_sites(Tag.clinic_id == _ID, Site.clinic_id == _ID, _ID))


def describe_one(unit: Unit, clinic_id: str) -> ClinicDescription | None:
    """The description of the clinic, read in two statements; None for an unknown id."""
    this = {"clinic_id": clinic_id}
    return _assemble(unit.rows(_CLINIC, this), unit.rows(_TAGS_AND_SITES_OF_ONE, this)).get(clinic_id)


_IDS: BindParameter[list[str]] = bindparam("clinic_ids", expanding=True)
_MANY_CLINICS = _clinics(Clinic.id.in_(_IDS), Clinic.id)
_TAGS_AND_SITES_OF_MANY = _tags_and_sites(Tag.clinic_id.in_(_IDS), Site.clinic_id.in_(_IDS))


def describe(unit: Unit, clinic_ids: Sequence[str]) -> dict[str, ClinicDescription]:
    """The descriptions of the clinics by id, read in two statements. Unknown ids are left out."""
    these = {"clinic_ids": list(clinic_ids)}
    clinics = map(ClinicRow._make, unit.execute(_MANY_CLINICS, these))
    return _assemble(clinics, map(_CountedRow._make, unit.execute(_TAGS_AND_SITES_OF_MANY, these)))


def _assemble(clinics: Iterable[ClinicRow], tags_and_sites: Iterable[_CountedRow]) -> dict[str, ClinicDescription]:
    found: dict[tuple[str, str], list[LabelDescription]] = defaultdict(list)
    for row in tags_and_sites:
        found[row.kind, row.clinic_id].append(LabelDescription(row.id, row.name, row.num_patients))
    described = {row.id: ClinicDescription._make(row) for row in clinics}
    for clinic in described.values():
        clinic.patient_tags, clinic.sites = found[_TAG, clinic.id], found[_SITE, clinic.id]
    return described
