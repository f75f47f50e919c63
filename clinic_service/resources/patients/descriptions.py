"""The data of patients that the API shows, read in a fixed number of statements for any number of patients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, cast, literal_column, null, select, union_all

from clinic_service.db.dialects import among
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Unit
from clinic_service.db.types import AnyTime, wire_time
from clinic_service.models import (
    DataSource,
    DataSourceState,
    DiagnosisType,
    Patient,
    PatientSite,
    PatientTag,
    Site,
    SummaryDocument,
)

R = TypeVar("R")

COLUMNS = (
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


class PatientRow(NamedTuple):
    """The columns of a patient that the API shows."""

    clinic_id: str
    id: str
    user_id: str
    full_name: str | None
    birth_date: str | None
    email: str | None
    mrn: str | None
    target_devices: list[str] | None
    has_permissions: bool
    permission_custodian: bool
    permission_view: bool
    permission_upload: bool
    permission_note: bool
    created_time: AnyTime
    updated_time: AnyTime
    last_upload_reminder_time: AnyTime | None
    review_1_clinician_id: str | None
    review_1_time: AnyTime | None
    review_2_clinician_id: str | None
    review_2_time: AnyTime | None
    last_requested_dexcom_connect_time: AnyTime | None
    glycemic_ranges: dict[str, Any] | None
    diagnosis_type: DiagnosisType | None
    connection_requests: dict[str, list[dict[str, Any]]] | None
    data_sources_set: bool

    @classmethod
    def of(cls, patient: Patient) -> PatientRow:
        """The row of a model."""
        return cls._make(_columns_of(patient))


_columns_of = attrgetter(*PatientRow._fields)

_TAG, _SITE, _SUMMARY = "tag", "site", "summary"

Link = type[PatientTag] | type[PatientSite] | type[SummaryDocument] | type[DataSource]
Condition = Callable[[Link], ColumnElement[bool]]


def _of_one(link: Link) -> ColumnElement[bool]:
    return and_(link.clinic_id == bindparam("clinic_id"), link.patient_id == bindparam("patient_id"))


def _of_many(link: Link) -> ColumnElement[bool]:
    return and_(link.clinic_id == bindparam("clinic_id"), among(link.patient_id, "patient_ids"))


def _of_several_clinics(link: Link) -> ColumnElement[bool]:
    # The patient's id alone is unique; the clinic's id is included because the keys begin with it.
    return and_(among(link.clinic_id, "clinic_ids"), among(link.patient_id, "patient_ids"))


class _Link(NamedTuple):
    """A tag, a site or a summary of a patient. `text` is the name of a site or the document of a summary."""

    kind: str
    patient_id: str
    id: str
    text: str | None
    position: int


def _links_of(chosen: Condition, *, with_summaries: bool = True) -> Query[_Link]:
    """The query for tags, sites and summaries, in one statement."""
    tags: Select[*tuple[Any, ...]] = select(
        literal_column(f"'{_TAG}'").label("kind"),
        PatientTag.patient_id.label("patient_id"),
        PatientTag.tag_id.label("id"),
        cast(null(), Text).label("text"),
        literal_column("0").label("position"),
    ).where(chosen(PatientTag))
    sites: Select[*tuple[Any, ...]] = (
        select(
            literal_column(f"'{_SITE}'"),
            PatientSite.patient_id,
            PatientSite.site_id,
            Site.name,
            PatientSite.position,
        )
        .join(Site, and_(Site.clinic_id == PatientSite.clinic_id, Site.id == PatientSite.site_id))
        .where(chosen(PatientSite))
    )
    summaries: Select[*tuple[Any, ...]] = select(
        literal_column(f"'{_SUMMARY}'"),
        SummaryDocument.patient_id,
        SummaryDocument.type,
        cast(SummaryDocument.document, Text),
        literal_column("0"),
    ).where(chosen(SummaryDocument))
    return Query(_Link, union_all(tags, sites, summaries) if with_summaries else union_all(tags, sites))


class DataSourceRow(NamedTuple):
    """A source of a patient's data."""

    patient_id: str
    provider_name: str
    state: DataSourceState
    data_source_id: str | None
    modified_time: str | None
    expiration_time: str | None
    latest_data_time: str | None


def _data_sources_of(chosen: Condition) -> Query[DataSourceRow]:
    return Query(
        DataSourceRow,
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
        .order_by(DataSource.patient_id, DataSource.position),
    )


class _Variants(NamedTuple, Generic[R]):
    """The variants of a query: for one patient, which is cheapest, for many of one clinic, and for those of several."""

    of_one: Query[R]
    of_many: Query[R]
    of_several_clinics: Query[R]


def _variants(make: Callable[[Condition], Query[R]]) -> _Variants[R]:
    return _Variants(make(_of_one), make(_of_many), make(_of_several_clinics))


_LINKS = _variants(_links_of)
_TAGS_AND_SITES = _variants(partial(_links_of, with_summaries=False))
_DATA_SOURCES = _variants(_data_sources_of)


@dataclass(frozen=True, slots=True)
class SiteOfPatient:
    """A site that a patient belongs to, with its current name."""

    id: str
    name: str


class PatientDescription(PatientRow):
    """A patient's row with tags, sites, data sources and summaries.

    `data_sources` is None when no list was ever given. Tags are in order of their creation, sites in the given order;
    `summaries` are JSON texts by type.
    """

    tags: list[str]
    sites: list[SiteOfPatient]
    summaries: dict[str, str]
    data_sources: list[DataSourceRow] | None

    def children(self) -> dict[str, Any]:
        """The tags, sites, data sources and summaries as a JSON document, for the record of a deletion."""
        sources = self.data_sources
        return {
            "tags": self.tags,
            "sites": [{"id": site.id, "name": site.name} for site in self.sites],
            "summaries": {kind: orjson.loads(text) for kind, text in self.summaries.items()},
            "data_sources": None if sources is None else [_source_document(source) for source in sources],
        }


def _source_document(source: DataSourceRow) -> dict[str, Any]:
    """A row of `data_sources` without its key."""
    return {name: value for name, value in source._asdict().items() if name != "patient_id"}


def describe(unit: Unit, patients: Sequence[PatientRow], *, with_summaries: bool = True) -> list[PatientDescription]:
    """The patients with their tags, sites, data sources and summaries, in at most two statements."""
    if not patients:
        return []
    # Most patients of most clinics have no source, so the query is sent only when one of them has.
    has_sources = any(p.data_sources_set for p in patients)
    sources = _by_patient(_rows(unit, _DATA_SOURCES, patients) if has_sources else [])
    described = {patient.id: _description(patient, sources) for patient in patients}
    _link(described, _rows(unit, _LINKS if with_summaries else _TAGS_AND_SITES, patients))
    return list(described.values())


def _description(patient: PatientRow, sources: Mapping[str, list[DataSourceRow]]) -> PatientDescription:
    description = PatientDescription._make(patient)
    description.data_sources = sources.get(patient.id, []) if patient.data_sources_set else None
    description.tags, description.sites, description.summaries = [], [], {}
    return description


def _link(described: Mapping[str, PatientDescription], links: Iterable[_Link]) -> None:
    # In the order of the response: tags by creation, sites as they were given.
    for kind, patient_id, link_id, text, _ in sorted(links, key=attrgetter("position", "id")):
        if kind == _TAG:
            described[patient_id].tags.append(link_id)
        elif kind == _SITE:
            described[patient_id].sites.append(SiteOfPatient(link_id, text or ""))
        else:
            described[patient_id].summaries[link_id] = text or ""


def _rows(unit: Unit, query: _Variants[R], patients: Sequence[PatientRow]) -> list[R]:
    clinic_id = patients[0].clinic_id
    if len(patients) == 1:
        return unit.rows(query.of_one, {"clinic_id": clinic_id, "patient_id": patients[0].id})
    ids, clinic_ids = [p.id for p in patients], {p.clinic_id for p in patients}
    if len(clinic_ids) == 1:
        return unit.rows(query.of_many, {"clinic_id": clinic_id, "patient_ids": ids})
    return unit.rows(query.of_several_clinics, {"clinic_ids": list(clinic_ids), "patient_ids": ids})


def _by_patient(rows: Iterable[DataSourceRow]) -> dict[str, list[DataSourceRow]]:
    found: dict[str, list[DataSourceRow]] = defaultdict(list)
    for row in rows:
        found[row.patient_id].append(row)
    return found
