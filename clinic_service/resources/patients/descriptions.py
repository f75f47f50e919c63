"""Everything that is shown of a patient, read in a fixed number of statements however many patients are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import (
    CompoundSelect,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from clinic_service.db.dialects import among
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Unit
from clinic_service.db.types import wire_time
from clinic_service.models import DataSource, Patient, PatientSite, PatientTag, Site, SummaryDocument

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

ONE = select(*COLUMNS).where(Patient.clinic_id == bindparam("clinic_id"), Patient.user_id == bindparam("user_id"))
BY_IDS = select(*COLUMNS).where(Patient.clinic_id == bindparam("clinic_id"), among(Patient.id, "ids"))
PAGE_OF_USER = (
    select(*COLUMNS)
    .where(Patient.user_id == bindparam("user_id"))
    .order_by(Patient.name_key, Patient.created_time, Patient.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)

_TAG, _SITE, _SUMMARY = "tag", "site", "summary"


Link = type[PatientTag] | type[PatientSite] | type[SummaryDocument] | type[DataSource]


def _of_one(link: Link) -> Any:
    return and_(link.clinic_id == bindparam("clinic_id"), link.patient_id == bindparam("patient_id"))


def _of_many(link: Link) -> Any:
    # A patient's id alone is unique; the clinic is named because the keys lead with it.
    return and_(among(link.clinic_id, "clinic_ids"), among(link.patient_id, "patient_ids"))


def _links_of(chosen: Callable[[Link], Any], *, with_summaries: bool = True) -> CompoundSelect[*tuple[Any, ...]]:
    """What every patient can have, in one statement; `text` is the name of a site, or the document of a summary."""
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
    return union_all(tags, sites, summaries) if with_summaries else union_all(tags, sites)


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


class _Question(NamedTuple):
    """The same asked about one patient, which is the cheaper, and about many."""

    of_one: Query
    of_many: Query


_LINKS = _Question(_links_of(_of_one), _links_of(_of_many))
_TAGS_AND_SITES = _Question(_links_of(_of_one, with_summaries=False), _links_of(_of_many, with_summaries=False))
_DATA_SOURCES = _Question(_data_sources_of(_of_one), _data_sources_of(_of_many))


@dataclass(frozen=True, slots=True)
class SiteOfPatient:
    """A site that a patient belongs to, with its present name."""

    id: str
    name: str


class PatientDescription:
    """A patient's row and what belongs to it; no `data_sources` at all when none were ever given.

    Tags are in order of their creation, sites as they were given; `summaries` are JSON texts by type. The columns of the
    row are attributes as well.
    """

    def __init__(self, row: Any, columns: Mapping[str, Any], data_sources: list[Row[Any]] | None) -> None:
        # Copied, because handing on each attribute of each patient when it is asked for takes longer than all the rest.
        self.__dict__.update(columns)
        self.row, self.data_sources = row, data_sources
        self.tags: list[str] = []
        self.sites: list[SiteOfPatient] = []
        self.summaries: dict[str, str] = {}

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def children(self) -> dict[str, Any]:
        """What belongs to the patient as a JSON document, for the record of a deletion."""
        sources = self.data_sources
        return {
            "tags": self.tags,
            "sites": [{"id": site.id, "name": site.name} for site in self.sites],
            "summaries": {kind: orjson.loads(text) for kind, text in self.summaries.items()},
            "data_sources": None if sources is None else [_source_document(source) for source in sources],
        }


def _source_document(source: Any) -> dict[str, Any]:
    """A row of `data_sources` without its key."""
    return {name: value for name, value in source._asdict().items() if name != "patient_id"}


def describe(unit: Unit, patients: Sequence[Any], *, with_summaries: bool = True) -> list[PatientDescription]:
    """The patients, given as rows or models, with what belongs to them, in at most two statements."""
    if not patients:
        return []
    # Most patients of most clinics have no source, and then there is nothing to look for.
    has_sources = any(p.data_sources_set for p in patients)
    sources = _by_patient(_asked(unit, _DATA_SOURCES, patients) if has_sources else [])
    described = {
        patient.id: PatientDescription(
            patient, columns, sources.get(patient.id, []) if patient.data_sources_set else None
        )
        for patient, columns in zip(patients, _columns_of(patients), strict=True)
    }
    _link(described, _asked(unit, _LINKS if with_summaries else _TAGS_AND_SITES, patients))
    return list(described.values())


def _columns_of(patients: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    if isinstance(patients[0], Patient):
        return (vars(patient) for patient in patients)
    names = patients[0]._fields
    return (dict(zip(names, row, strict=True)) for row in patients)


def _link(described: Mapping[str, PatientDescription], links: Iterable[Any]) -> None:
    # In the order in which they are shown: tags as they were created, sites as they were given.
    for kind, patient_id, link_id, text, _ in sorted(links, key=lambda link: (link[4], link[2])):
        if kind == _TAG:
            described[patient_id].tags.append(link_id)
        elif kind == _SITE:
            described[patient_id].sites.append(SiteOfPatient(link_id, text))
        else:
            described[patient_id].summaries[link_id] = text


def _asked(unit: Unit, question: _Question, patients: Sequence[Any]) -> Sequence[Any]:
    if len(patients) == 1:
        return unit.rows(question.of_one, {"clinic_id": patients[0].clinic_id, "patient_id": patients[0].id})
    ids = {"clinic_ids": list({p.clinic_id for p in patients}), "patient_ids": [p.id for p in patients]}
    return unit.rows(question.of_many, ids)


def _by_patient(rows: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.patient_id].append(row)
    return found
