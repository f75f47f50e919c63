"""Everything that is shown of a patient, read in a fixed number of statements however many patients are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Row,
    Select,
    and_,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from clinic_service.db.repository import Unit
from clinic_service.db.types import ExactText, wire_time
from clinic_service.models import DataSource, Patient, PatientSite, PatientTag, Site

_COLUMNS = (
    Patient.clinic_id,
    Patient.id,
    Patient.user_id,
    Patient.full_name,
    Patient.birth_date,
    Patient.email,
    Patient.mrn,
    Patient.target_devices,
    Patient.has_permissions,
    Patient.permission_custodian,
    Patient.permission_view,
    Patient.permission_upload,
    Patient.permission_note,
    wire_time(Patient.created_time),
    wire_time(Patient.updated_time),
    wire_time(Patient.last_upload_reminder_time),
    Patient.review_1_clinician_id,
    wire_time(Patient.review_1_time),
    Patient.review_2_clinician_id,
    wire_time(Patient.review_2_time),
    wire_time(Patient.last_requested_dexcom_connect_time),
    Patient.glycemic_ranges,
    Patient.diagnosis_type,
    Patient.connection_requests,
    Patient.data_sources_set,
)

ONE = select(*_COLUMNS).where(Patient.clinic_id == bindparam("clinic_id"), Patient.user_id == bindparam("user_id"))
# The name as bytes, which is the one order that both engines agree on.
PAGE_OF_USER = (
    select(*_COLUMNS)
    .where(Patient.user_id == bindparam("user_id"))
    .order_by(cast(Patient.full_name, ExactText()).nulls_first(), Patient.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)

_TAG, _SITE = "tag", "site"


Link = type[PatientTag] | type[PatientSite] | type[DataSource]


def _of_one(link: Link) -> Any:
    return and_(link.clinic_id == bindparam("clinic_id"), link.patient_id == bindparam("patient_id"))


def _of_many(link: Link) -> Any:
    # A patient's id alone is unique; the clinic is named because the keys lead with it.
    return and_(
        link.clinic_id.in_(bindparam("clinic_ids", expanding=True)),
        link.patient_id.in_(bindparam("patient_ids", expanding=True)),
    )


def _tags_and_sites_of(chosen: Callable[[Link], Any]) -> CompoundSelect[*tuple[Any, ...]]:
    """Tags in order of their creation, sites as they were given."""
    return union_all(
        select(
            literal_column(f"'{_TAG}'").label("kind"),
            PatientTag.patient_id.label("patient_id"),
            PatientTag.tag_id.label("id"),
            cast(null(), Site.name.type).label("name"),
            literal_column("0").label("position"),
        ).where(chosen(PatientTag)),
        select(
            literal_column(f"'{_SITE}'"),
            PatientSite.patient_id,
            PatientSite.site_id,
            Site.name,
            PatientSite.position,
        )
        .join(Site, and_(Site.clinic_id == PatientSite.clinic_id, Site.id == PatientSite.site_id))
        .where(chosen(PatientSite)),
    ).order_by("position", "id")


def _data_sources_of(chosen: Callable[[Link], Any]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            DataSource.patient_id,
            DataSource.provider_name,
            DataSource.state,
            DataSource.data_source_id,
            wire_time(DataSource.modified_time),
            wire_time(DataSource.expiration_time),
            wire_time(DataSource.latest_data_time),
        )
        .where(chosen(DataSource))
        .order_by(DataSource.patient_id, DataSource.position)
    )


_TAGS_AND_SITES_OF_ONE, _TAGS_AND_SITES_OF_MANY = _tags_and_sites_of(_of_one), _tags_and_sites_of(_of_many)
_DATA_SOURCES_OF_ONE, _DATA_SOURCES_OF_MANY = _data_sources_of(_of_one), _data_sources_of(_of_many)


@dataclass(frozen=True, slots=True)
class SiteOfPatient:
    """A site that a patient belongs to, with its present name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class PatientDescription:
    """A patient's row and what belongs to it; no `data_sources` at all when none were ever given.

    The columns of the row are attributes as well.
    """

    row: Any
    tags: list[str]
    sites: list[SiteOfPatient]
    data_sources: list[Row[Any]] | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)

    def children(self) -> dict[str, Any]:
        """What belongs to the patient as a JSON document, for the record of a deletion."""
        sources = self.data_sources
        return {
            "tags": self.tags,
            "sites": [{"id": site.id, "name": site.name} for site in self.sites],
            "data_sources": None if sources is None else [_source_document(source) for source in sources],
        }


def _source_document(source: Any) -> dict[str, Any]:
    """A row of `data_sources` without its key."""
    return {name: value for name, value in source._asdict().items() if name != "patient_id"}


def describe(unit: Unit, patients: Sequence[Any]) -> list[PatientDescription]:
    """The patients, given as rows or models, with what belongs to them, in at most two statements."""
    if not patients:
        return []
    # Most patients of most clinics have no source, and then there is nothing to look for.
    has_sources = any(p.data_sources_set for p in patients)
    tag_and_site_rows, source_rows = _children(unit, patients, has_sources)
    tags, sites = _tags_and_sites(tag_and_site_rows)
    sources = _data_sources(source_rows)
    return [
        PatientDescription(
            row=p,
            tags=tags.get(p.id, []),
            sites=sites.get(p.id, []),
            data_sources=sources.get(p.id, []) if p.data_sources_set else None,
        )
        for p in patients
    ]


def _children(unit: Unit, patients: Sequence[Any], has_sources: bool) -> tuple[Sequence[Any], Sequence[Any]]:
    if len(patients) == 1:
        one = {"clinic_id": patients[0].clinic_id, "patient_id": patients[0].id}
        return unit.rows(_TAGS_AND_SITES_OF_ONE, one), unit.rows(_DATA_SOURCES_OF_ONE, one) if has_sources else []
    ids = {"clinic_ids": list({p.clinic_id for p in patients}), "patient_ids": [p.id for p in patients]}
    sources = unit.execute(_DATA_SOURCES_OF_MANY, ids).all() if has_sources else []
    return unit.execute(_TAGS_AND_SITES_OF_MANY, ids).all(), sources


def _tags_and_sites(rows: Iterable[Row[Any]]) -> tuple[dict[str, list[str]], dict[str, list[SiteOfPatient]]]:
    tags: dict[str, list[str]] = defaultdict(list)
    sites: dict[str, list[SiteOfPatient]] = defaultdict(list)
    for row in rows:
        if row.kind == _TAG:
            tags[row.patient_id].append(row.id)
        else:
            sites[row.patient_id].append(SiteOfPatient(row.id, row.name))
    return tags, sites


def _data_sources(rows: Iterable[Row[Any]]) -> dict[str, list[Row[Any]]]:
    sources: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        sources[row.patient_id].append(row)
    return sources
