"""Everything that is shown of a clinic, read in a fixed number of statements however many clinics are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Text,
    and_,
    bindparam,
    exists,
    literal_column,
    select,
    union_all,
)

from clinic_service.models import Clinic, Clinician, PatientSite, PatientTag, ShareCode, Site, Tag
from clinic_service.resources.labels.descriptions import LabelDescription, num_patients


@dataclass(frozen=True, slots=True)
class ClinicDescription:
    """A clinic with what is derived from its records. Profile members that were never given are None."""

    id: str
    name: str | None
    address: str | None
    city: str | None
    postal_code: str | None
    state: str | None
    country: str | None
    website: str | None
    phone_numbers: list[dict[str, Any]] | None
    clinic_type: str | None
    clinic_size: str | None
    preferred_bg_units: str | None
    timezone: str | None
    is_migrated: bool
    tier: str | None
    suppressed_notifications: dict[str, bool] | None
    created_time: datetime
    updated_time: datetime
    share_code: str
    has_admin: bool
    patient_tags: list[LabelDescription]
    sites: list[LabelDescription]

    @property
    def can_migrate(self) -> bool:
        """Whether the initial migration can be started: still to do, the profile complete, and an administrator there.

        The unit that is displayed when none was chosen does not count.
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


_HAS_ADMIN = exists().where(Clinician.clinic_id == Clinic.id, Clinician.counts_as_admin)


_TAGGED = num_patients(Tag, PatientTag.tag_id)
_AT_SITE = num_patients(Site, PatientSite.site_id)
_TAG, _SITE = "tag", "site"
_CLINICS = select(
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
    _HAS_ADMIN.label("has_admin"),
).join(ShareCode, and_(ShareCode.clinic_id == Clinic.id, ShareCode.canonical))


def _tags_and_sites(of_tags: ColumnElement[bool], of_sites: ColumnElement[bool]) -> CompoundSelect[*tuple[Any, ...]]:
    """Both in one statement; ids stand in order of creation."""
    tag, site = literal_column(f"'{_TAG}'", Text), literal_column(f"'{_SITE}'", Text)
    return union_all(
        select(tag.label("kind"), Tag.clinic_id, Tag.id, Tag.name, _TAGGED.label("num_patients")).where(of_tags),
        select(site, Site.clinic_id, Site.id, Site.name, _AT_SITE).where(of_sites),
    ).order_by("id")


_ONE: BindParameter[str] = bindparam("clinic_id")
_MANY: BindParameter[list[str]] = bindparam("clinic_ids", expanding=True)
CLINIC = _CLINICS.where(Clinic.id == _ONE)
CLINICS = _CLINICS.where(Clinic.id.in_(_MANY))
TAGS_AND_SITES_OF_ONE = _tags_and_sites(Tag.clinic_id == _ONE, Site.clinic_id == _ONE)
TAGS_AND_SITES = _tags_and_sites(Tag.clinic_id.in_(_MANY), Site.clinic_id.in_(_MANY))


def assemble(clinics: Iterable[Any], tags_and_sites: Iterable[Any]) -> dict[str, ClinicDescription]:
    """The descriptions by clinic id, from the rows of the statements above."""
    found: dict[tuple[str, str], list[LabelDescription]] = defaultdict(list)
    for row in tags_and_sites:
        found[row.kind, row.clinic_id].append(LabelDescription(row.id, row.name, row.num_patients))
    return {
        row.id: ClinicDescription(**row._asdict(), patient_tags=found[_TAG, row.id], sites=found[_SITE, row.id])
        for row in clinics
    }
