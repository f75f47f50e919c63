"""Moves rows from one clinic to another: copied into the target, then deleted from the source.

The key of every row begins with the id of its clinic, and a database that distributes clinics over several machines cannot
change such a key in place. For the same reason no statement joins rows of two clinics. The tables whose rows belong to a
patient are found by their foreign keys, so the rows of a table that is added later are moved as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Insert, Table, and_, bindparam, case, delete, func, insert, select, update

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among, moved_on
from clinic_service.db.locks import locking
from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository, Unit
from clinic_service.models import (
    Base,
    EhrSubscription,
    MatchedMessage,
    Patient,
    PatientSite,
    PatientTag,
    ScheduledReportOrder,
    Site,
    Summary,
    Tag,
    XealthOrder,
)
from clinic_service.models.patient import ADD_TO_COUNT

# The number of patients that are moved at a time, so that no statement takes long.
BATCH = 100


def table_of(model: type[Base]) -> Table:
    """The table of the model."""
    return model.metadata.tables[model.__tablename__]


def copying(table: Table, *conditions: Any, **changed: Any) -> Insert:
    """The statement that copies the rows of `source_id` that fulfil the conditions to `target_id`.

    The columns `changed` get other values.
    """
    values = {"clinic_id": bindparam("target_id", type_=table.c.clinic_id.type), **changed}
    rows = select(*(values.get(column.name, column) for column in table.columns))
    return insert(table).from_select(
        [column.name for column in table.columns], rows.where(table.c.clinic_id == bindparam("source_id"), *conditions)
    )


def _belonging_to_patients() -> Iterator[Table]:
    """The tables whose rows belong to a patient, each after the tables that it refers to.

    The table of tags is left out, because each clinic has its own tags.
    """
    found = {table_of(Patient)}
    for table in Base.metadata.sorted_tables:
        if table not in found and any(key.column.table in found for key in table.foreign_keys):
            found.add(table)
            if table is not table_of(PatientTag):
                yield table


_IN_BATCH = among(Patient.id, "ids")
_COPY_CHILDREN = tuple(copying(table, among(table.c.patient_id, "ids")) for table in _belonging_to_patients())
# The rows of orders belong to the clinic, and would be deleted with the source.
_COPY_ORDERS = (
    copying(
        table_of(XealthOrder),
        XealthOrder.id.in_(
            select(MatchedMessage.document_id).where(
                MatchedMessage.clinic_id == bindparam("source_id"), among(MatchedMessage.patient_id, "ids")
            )
        ),
    ),
    copying(
        table_of(ScheduledReportOrder),
        ScheduledReportOrder.user_id.in_(
            select(Patient.user_id).where(Patient.clinic_id == bindparam("source_id"), _IN_BATCH)
        ),
    ),
)
_TAGS_OF = select(PatientTag.patient_id, PatientTag.tag_id).where(
    PatientTag.clinic_id == bindparam("clinic_id"), among(PatientTag.patient_id, "ids")
)


class MovedPatient(NamedTuple):
    """A patient of the source, and the target's record of the same user, if there is one."""

    id: str
    user_id: str
    is_custodial: bool
    counterpart: Any | None


class PatientMover(Repository):
    """Moves the patients of one clinic to another. The caller has locked the rows of both clinics."""

    def __init__(self, uow: Unit, source_id: str, target_id: str) -> None:
        super().__init__(uow)
        self._source_id, self._target_id = source_id, target_id
        self._ids = {"source_id": source_id, "target_id": target_id}

    _ADD_TAGS = insert_into(Tag, "clinic_id", "id", "name", "name_key")

    def add_tags(self, tags: Sequence[tuple[str, str]]) -> None:
        """Add tags, given by id and name, to the target."""
        self._uow.insert(self._ADD_TAGS, *(self._named(one, name, Tag.key_of(name)) for one, name in tags))

    _ADD_SITES = insert_into(Site, "clinic_id", "id", "name", "name_key")

    def add_sites(self, sites: Sequence[tuple[str, str]]) -> None:
        """As `add_tags`, for sites. The sites also stay in the source until their patients have moved."""
        self._uow.insert(self._ADD_SITES, *(self._named(one, name, Site.key_of(name)) for one, name in sites))

    def _named(self, one: str, name: str, key: str) -> dict[str, str]:
        return {"clinic_id": self._target_id, "id": one, "name": name, "name_key": key}

    # The plan does not compare the demo patient, so a patient who moves may have the same number.
    _RELEASE_MRN = (
        update(Patient)
        .where(and_(Patient.clinic_id == bindparam("of_clinic"), Patient.user_id == bindparam("demo_user_id")))
        .values(require_unique_mrn=False)
    )

    def release_mrn(self, demo_user_id: str) -> None:
        """Exempt the medical record number of the target's demo patient from the unique constraint."""
        self._uow.change(self._RELEASE_MRN, {"of_clinic": self._target_id, "demo_user_id": demo_user_id})

    _NEXT_PATIENTS = (
        select(Patient.id, Patient.user_id, Patient.permission_custodian.label("is_custodial"))
        .where(Patient.clinic_id == bindparam("clinic_id"), Patient.user_id != bindparam("demo_user_id"))
        .order_by(Patient.id)
        .limit(bindparam("limit"))
    )
    _OF_USERS = select(Patient.id, Patient.user_id, Patient.permission_custodian.label("is_custodial")).where(
        Patient.clinic_id == bindparam("clinic_id"), among(Patient.user_id, "user_ids")
    )

    def batches(self, demo_user_id: str) -> Iterator[list[MovedPatient]]:
        """The patients who are still in the source, except the demo patient, in batches of 100.

        The caller must move or remove every patient of a batch before it asks for the next one. The patients and their
        records in the target are locked until this unit ends.
        """
        next_ones = {"clinic_id": self._source_id, "demo_user_id": demo_user_id, "limit": BATCH}
        while rows := self._uow.rows(self._NEXT_PATIENTS, next_ones):
            users = {"clinic_id": self._target_id, "user_ids": [row.user_id for row in rows]}
            counterparts = {row.user_id: row for row in self._uow.rows(self._OF_USERS, users)}
            self._lock(
                {self._source_id: [row.id for row in rows], self._target_id: [t.id for t in counterparts.values()]}
            )
            yield [MovedPatient(row.id, row.user_id, row.is_custodial, counterparts.get(row.user_id)) for row in rows]

    # All transactions lock several patients in this order, to avoid deadlocks.
    _LOCK_PATIENTS = locking(select(Patient.id).where(among(Patient.id, "ids")).order_by(Patient.id), Patient)
    _LOCK_SUMMARIES = locking(
        select(Summary.patient_id).where(among(Summary.patient_id, "ids")).order_by(Summary.patient_id, Summary.type),
        Summary,
    )

    def _lock(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Lock records and their summaries, by clinic.

        Updates of summaries lock only the records of a user, and not the clinic. Without these locks, an update could write
        to a record that was moved.
        """
        for clinic_id in sorted(ids):
            these = {"clinic_id": clinic_id, "ids": list(ids[clinic_id])}
            self._uow.rows(self._LOCK_PATIENTS, these)
            self._uow.rows(self._LOCK_SUMMARIES, these)

    _COPY_PATIENTS = copying(
        table_of(Patient),
        _IN_BATCH,
        require_unique_mrn=bindparam("mrn_unique", type_=Patient.require_unique_mrn.type),
        updated_time=moved_on(Patient.updated_time),
    )
    _REMOVE_PATIENTS = delete(Patient).where(Patient.clinic_id == bindparam("of_clinic"), _IN_BATCH)

    def move(self, patients: Sequence[MovedPatient], tags: Mapping[str, str], *, mrn_unique: bool) -> None:
        """Move patients who are not in the target, with all their rows.

        `tags` are the ids of the target's tags by the ids of the source's tags.
        """
        if not patients:
            return
        ids = [one.id for one in patients]
        these = {**self._ids, "ids": ids}
        self._uow.insert(self._COPY_PATIENTS, {**these, "mrn_unique": mrn_unique, "now": self._uow.now})
        for statement in (*_COPY_CHILDREN, *_COPY_ORDERS):
            self._uow.insert(statement, these)
        if tags:
            tag_id = case(tags, value=PatientTag.tag_id)
            self._uow.execute(copying(table_of(PatientTag), among(PatientTag.patient_id, "ids"), tag_id=tag_id), these)
        self._uow.change(self._REMOVE_PATIENTS, {"of_clinic": self._source_id, "ids": ids})
        clinics = ClinicsOfUsers(self._uow)
        clinics.add_patients((one.user_id, self._target_id) for one in patients)
        clinics.remove_patients((one.user_id, self._source_id) for one in patients)
        change = {self._source_id: -len(ids), self._target_id: len(ids)}
        self._uow.insert(ADD_TO_COUNT, *({"clinic_id": one, "patients": change[one]} for one in sorted(change)))

    _END_SUBSCRIPTIONS = (
        update(EhrSubscription)
        .where(
            EhrSubscription.clinic_id == bindparam("of_clinic"),
            among(EhrSubscription.patient_id, "ids"),
            EhrSubscription.active,
        )
        .values(active=False, updated_time=bindparam("now"))
    )

    def end_subscriptions(self, ids: Sequence[str]) -> None:
        """Make the report subscriptions of patients who were moved inactive."""
        self._uow.change(
            self._END_SUBSCRIPTIONS, {"of_clinic": self._target_id, "ids": list(ids), "now": self._uow.now}
        )

    _MOVE_ON = (
        update(Patient)
        .where(Patient.clinic_id == bindparam("of_clinic"), _IN_BATCH)
        .values(updated_time=moved_on(Patient.updated_time))
    )

    def unite(self, counterparts: Mapping[str, str], tags: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
        """Give patients of the target the tags and sites of both records.

        `counterparts` are the ids of the records in the target by the ids of the records in the source. Returns the ids of
        the target's records that change, each with the names of the changed fields.
        """
        tagged, placed = self._unite_tags(counterparts, tags), self._unite_sites(counterparts)
        changed = {one: [*["tags"] * (one in tagged), *["sites"] * (one in placed)] for one in sorted(tagged | placed)}
        if changed:
            self._uow.change(self._MOVE_ON, {"of_clinic": self._target_id, "ids": list(changed), "now": self._uow.now})
        return changed

    _TAG_PATIENTS = insert_into(PatientTag, "clinic_id", "patient_id", "tag_id")

    def _unite_tags(self, counterparts: Mapping[str, str], tags: Mapping[str, str]) -> set[str]:
        present = {(row.patient_id, row.tag_id) for row in self._of(_TAGS_OF, self._target_id, counterparts.values())}
        wanted = {
            (counterparts[row.patient_id], tags[row.tag_id])
            for row in self._of(_TAGS_OF, self._source_id, counterparts)
        }
        new = sorted(wanted - present)
        self._uow.insert(
            self._TAG_PATIENTS,
            *({"clinic_id": self._target_id, "patient_id": patient, "tag_id": tag} for patient, tag in new),
        )
        return {patient for patient, _ in new}

    _SITES_OF = (
        select(PatientSite.patient_id, PatientSite.site_id)
        .where(PatientSite.clinic_id == bindparam("clinic_id"), among(PatientSite.patient_id, "ids"))
        .order_by(PatientSite.patient_id, PatientSite.position, PatientSite.site_id)
    )
    _LAST_POSITIONS = (
        select(PatientSite.patient_id, func.max(PatientSite.position).label("position"))
        .where(PatientSite.clinic_id == bindparam("clinic_id"), among(PatientSite.patient_id, "ids"))
        .group_by(PatientSite.patient_id)
    )
    _PLACE_PATIENTS = insert_into(PatientSite, "clinic_id", "patient_id", "site_id", "position")

    def _unite_sites(self, counterparts: Mapping[str, str]) -> set[str]:
        """Add the sites of the source after those of the target. Returns the ids of the records that change."""
        last = {
            row.patient_id: row.position
            for row in self._of(self._LAST_POSITIONS, self._target_id, counterparts.values())
        }
        new = []
        for row in self._of(self._SITES_OF, self._source_id, counterparts):
            patient = counterparts[row.patient_id]
            last[patient] = last.get(patient, -1) + 1
            new.append({"patient_id": patient, "site_id": row.site_id, "position": last[patient]})
        self._uow.insert(self._PLACE_PATIENTS, *({"clinic_id": self._target_id, **link} for link in new))
        return {link["patient_id"] for link in new}

    def _of(self, query: Any, clinic_id: str, ids: Any) -> list[Any]:
        return self._uow.rows(query, {"clinic_id": clinic_id, "ids": list(ids)})

    _LOAD_PATIENTS = select(Patient).where(Patient.clinic_id == bindparam("clinic_id"), _IN_BATCH).order_by(Patient.id)

    def load(self, ids: Sequence[str]) -> Sequence[Patient]:
        """The records of the source with these ids."""
        return self._uow.session.scalars(self._LOAD_PATIENTS, {"clinic_id": self._source_id, "ids": list(ids)}).all()
