"""Everything that is shown of a clinic, read in a fixed number of statements however many clinics are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    ScalarSelect,
    and_,
    bindparam,
    exists,
    func,
    literal,
    not_,
    select,
    union_all,
)

from clinic_service.models import Clinic, Clinician, PatientSite, PatientTag, ShareCode, Site, Tag


class Counted(NamedTuple):
    """A tag or a site of a clinic, and how many of its patients carry or belong to it."""

    id: str
    name: str
    num_patients: int


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
    patient_tags: list[Counted]
    sites: list[Counted]

    @property
    def can_migrate(self) -> bool:
        """Whether the initial migration can be started: still to do, the profile complete, and somebody in charge.

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


# An invitation that nobody has accepted has no user, and is in charge of nothing.
_HAS_ADMIN = exists().where(
    Clinician.clinic_id == Clinic.id,
    Clinician.is_admin,
    Clinician.user_id.is_not(None),
    not_(Clinician.is_service_account),
)
CLINICS = (
    select(
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
    )
    .join(ShareCode, and_(ShareCode.clinic_id == Clinic.id, ShareCode.canonical))
    .where(Clinic.id.in_(bindparam("clinic_ids", expanding=True)))
)


def _number_of(link: type[PatientTag] | type[PatientSite], *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(link).where(*conditions).scalar_subquery()


_TAGGED = _number_of(PatientTag, PatientTag.clinic_id == Tag.clinic_id, PatientTag.tag_id == Tag.id)
_AT_SITE = _number_of(PatientSite, PatientSite.clinic_id == Site.clinic_id, PatientSite.site_id == Site.id)
_TAG, _SITE = "tag", "site"

# Tags and sites in one statement; ids stand in order of creation.
TAGS_AND_SITES = union_all(
    select(
        literal(_TAG, literal_execute=True).label("kind"),
        Tag.clinic_id,
        Tag.id,
        Tag.name,
        _TAGGED.label("num_patients"),
    ).where(Tag.clinic_id.in_(bindparam("clinic_ids", expanding=True))),
    select(literal(_SITE, literal_execute=True), Site.clinic_id, Site.id, Site.name, _AT_SITE).where(
        Site.clinic_id.in_(bindparam("clinic_ids", expanding=True))
    ),
).order_by("id")


def assemble(clinics: Iterable[Row[Any]], tags_and_sites: Iterable[Row[Any]]) -> dict[str, ClinicDescription]:
    """The descriptions by clinic id, from the rows of `CLINICS` and `TAGS_AND_SITES`."""
    found: dict[tuple[str, str], list[Counted]] = defaultdict(list)
    for row in tags_and_sites:
        found[row.kind, row.clinic_id].append(Counted(row.id, row.name, row.num_patients))
    return {
        row.id: ClinicDescription(**row._mapping, patient_tags=found[_TAG, row.id], sites=found[_SITE, row.id])
        for row in clinics
    }
