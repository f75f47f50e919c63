"""The queries about patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from sqlalchemy import Select, and_, bindparam, delete, select
from sqlalchemy.exc import IntegrityError

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among, constraint_name
from clinic_service.db.locks import lock_by_clinic, locking
from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import Patient, PatientSite, PatientTag, Site, Tag
from clinic_service.models.patient import ADD_TO_COUNT
from clinic_service.models.sort_keys import mrn_key
from clinic_service.outbox.events import PatientRemoved
from clinic_service.outbox.outbox import Outbox
from clinic_service.resources.patients import counts
from clinic_service.resources.patients.accounts.changes import AccountChanges
from clinic_service.resources.patients.deletions import record_deletions
from clinic_service.resources.patients.descriptions import COLUMNS, PatientDescription, PatientRow, describe
from clinic_service.resources.patients.errors import DuplicateMrn, DuplicatePatient, PatientNotFound, UnknownSite

# The number of rows in one statement, which keeps its parameters below the smallest limit of the databases.
_BATCH = 1000
_MILLISECOND = timedelta(milliseconds=1)
_VIOLATIONS = {"uq_patients_clinic_id_user_id": DuplicatePatient, "ix_patients_unique_mrn": DuplicateMrn}

ADD_TAGS = insert_into(PatientTag, "clinic_id", "patient_id", "tag_id")
ADD_SITES = insert_into(PatientSite, "clinic_id", "patient_id", "site_id", "position")
_OF_USER = and_(Patient.clinic_id == bindparam("clinic_id"), Patient.user_id == bindparam("user_id"))


class PatientRepository(Repository):
    """The clinics' records of their patients."""

    @property
    def account_changes(self) -> AccountChanges:
        """The unfinished changes of patients' accounts."""
        return AccountChanges(self._uow)

    _FIND = select(Patient).where(_OF_USER)

    def find(self, clinic_id: str, user_id: str) -> Patient | None:
        """The clinic's record of the user, for changes."""
        return self._uow.session.scalars(self._FIND, {"clinic_id": clinic_id, "user_id": user_id}).one_or_none()

    def get(self, clinic_id: str, user_id: str) -> Patient:
        """As `find`. Raises PatientNotFound."""
        patient = self.find(clinic_id, user_id)
        if patient is None:
            raise PatientNotFound
        return patient

    _LOCK = locking(select(Patient).where(Patient.user_id == bindparam("user_id")), Patient).execution_options(
        populate_existing=True
    )

    def lock(self, clinic_id: str, user_id: str) -> Patient:
        """As `get`, but locks the record until this unit ends. Raises PatientNotFound."""
        found = self._uow.session.scalars(self._LOCK, {"clinic_id": clinic_id, "user_id": user_id})
        patient = found.one_or_none()
        if patient is None:
            raise PatientNotFound
        return patient

    _IS_PATIENT = select(Patient.id).where(_OF_USER)

    def is_patient(self, clinic_id: str, user_id: str) -> bool:
        """Whether the clinic has a record of the user."""
        return self._uow.first(self._IS_PATIENT, {"clinic_id": clinic_id, "user_id": user_id}) is not None

    _ONE = Query(PatientRow, select(*COLUMNS).where(_OF_USER))

    def describe_one(self, clinic_id: str, user_id: str) -> PatientDescription:
        """The description of the patient, read in at most three statements. Raises PatientNotFound."""
        row = self._uow.first(self._ONE, {"clinic_id": clinic_id, "user_id": user_id})
        if row is None:
            raise PatientNotFound
        return describe(self._uow, [row])[0]

    _BY_IDS = Query(
        PatientRow, select(*COLUMNS).where(Patient.clinic_id == bindparam("clinic_id"), among(Patient.id, "ids"))
    )

    def describe_all(
        self, clinic_id: str, ids: Collection[str], *, with_summaries: bool = True
    ) -> list[PatientDescription]:
        """The descriptions of the clinic's patients with these ids, in the order of `ids`, in at most three statements."""
        if not ids:
            return []
        rows = {row.id: row for row in self._uow.rows(self._BY_IDS, {"clinic_id": clinic_id, "ids": list(ids)})}
        return describe(self._uow, [rows[one] for one in ids], with_summaries=with_summaries)

    _PAGE_OF_USER = Query(
        PatientRow,
        select(*COLUMNS)
        .where(among(Patient.clinic_id, "clinic_ids"), Patient.user_id == bindparam("user_id"))
        .order_by(Patient.name_key, Patient.created_time, Patient.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset")),
    )

    def list_for_user(self, user_id: str, limit: int, offset: int) -> list[PatientDescription]:
        """A page of the user's records in all clinics, sorted by the name in the record, then oldest first."""
        clinic_ids = ClinicsOfUsers(self._uow).of_patient(user_id)
        if not clinic_ids:
            return []
        parameters = {"user_id": user_id, "clinic_ids": clinic_ids, "limit": limit, "offset": offset}
        return describe(self._uow, self._uow.rows(self._PAGE_OF_USER, parameters))

    def all_of_user(self, user_id: str) -> Sequence[Patient]:
        """Lock and return the records of the user in all clinics, sorted by clinic id."""

        def lock(clinic_id: str) -> Sequence[Patient]:
            return self._uow.session.scalars(self._LOCK, {"clinic_id": clinic_id, "user_id": user_id}).all()

        return lock_by_clinic(lambda: ClinicsOfUsers(self._uow).of_patient(user_id), lock)

    def count(self, clinic_id: str, demo_user_id: str | None) -> counts.PatientCounts:
        """The clinic's numbers of patients; all are zero for an unknown clinic."""
        return self._uow.rows(counts.COUNT, {"clinic_id": clinic_id, "demo_user_id": demo_user_id or ""})[0]

    def count_plan(self, clinic_id: str, demo_user_id: str | None) -> int:
        """The number of patients that the clinic's plan includes; exact only while the clinic's row is locked."""
        return self._uow.rows(counts.COUNT_PLAN, {"clinic_id": clinic_id, "demo_user_id": demo_user_id or ""})[0][0]

    def count_by_provider(self, clinic_id: str, demo_user_id: str | None) -> Sequence[counts.ProviderCount]:
        """The numbers of patients by provider and state of their sources, without the demo patient."""
        return self._uow.rows(counts.COUNT_BY_PROVIDER, {"clinic_id": clinic_id, "demo_user_id": demo_user_id or ""})

    _OTHER_WITH_MRN = select(Patient.id).where(
        Patient.clinic_id == bindparam("clinic_id"),
        Patient.mrn_key == bindparam("mrn_key"),
        Patient.id != bindparam("id"),
    )

    def is_mrn_taken(self, clinic_id: str, key: str, patient_id: str) -> bool:
        """Whether a patient of the clinic other than `patient_id` has the number with this key (see `mrn_key`)."""
        parameters = {"clinic_id": clinic_id, "mrn_key": key, "id": patient_id}
        return self._uow.first(self._OTHER_WITH_MRN, parameters) is not None

    def add(
        self,
        patient: Patient,
        tag_ids: Collection[str] = (),
        site_ids: Collection[str] = (),
        *,
        require_sites: bool = False,
    ) -> None:
        """Store a new patient with tags and sites. Tags and sites that the clinic does not have are ignored.

        With `require_sites`, such sites are an error. Adds no events. Raises DuplicatePatient, DuplicateMrn and
        UnknownSite; the transaction cannot be used afterwards.
        """
        patient.mrn_key = mrn_key(patient.mrn)
        self._uow.session.add(patient)
        self.flush()
        ClinicsOfUsers(self._uow).add_patients([(patient.user_id, patient.clinic_id)])
        self._uow.insert(ADD_TO_COUNT, {"clinic_id": patient.clinic_id, "patients": 1})
        key = {"clinic_id": patient.clinic_id, "patient_id": patient.id}
        tags = self.known_tags(patient.clinic_id, tag_ids)
        self._uow.insert(ADD_TAGS, *({**key, "tag_id": tag_id} for tag_id in tags))
        sites = self.known_sites(patient.clinic_id, site_ids, require_all=require_sites)
        self._uow.insert(ADD_SITES, *({**key, "site_id": s, "position": p} for p, s in enumerate(sites)))

    _KNOWN_TAGS = select(Tag.id).where(
        Tag.clinic_id == bindparam("clinic_id"), Tag.id.in_(bindparam("ids", expanding=True))
    )
    _KNOWN_SITES = select(Site.id).where(
        Site.clinic_id == bindparam("clinic_id"), Site.id.in_(bindparam("ids", expanding=True))
    )

    def known_tags(self, clinic_id: str, ids: Iterable[str]) -> list[str]:
        """Those of `ids` that are tags of the clinic, each once, in the order given."""
        return self._known(self._KNOWN_TAGS, clinic_id, ids)

    def known_sites(self, clinic_id: str, ids: Collection[str], *, require_all: bool) -> list[str]:
        """As `known_tags`, for sites. With `require_all`, raises UnknownSite when the clinic does not have one of them."""
        known = self._known(self._KNOWN_SITES, clinic_id, ids)
        if require_all and len(known) < len(set(ids)):
            raise UnknownSite
        return known

    def _known(self, statement: Select[str], clinic_id: str, ids: Iterable[str]) -> list[str]:
        """Those of `ids` that the clinic has, each once, in the order given."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return []
        known = set(self._uow.execute(statement, {"clinic_id": clinic_id, "ids": wanted}).scalars())
        return [one for one in wanted if one in known]

    def flush(self) -> None:
        """Write the changes. Raises DuplicatePatient and DuplicateMrn when two records have the same user or number."""
        try:
            self._uow.session.flush()
        except IntegrityError as error:
            violation = _VIOLATIONS.get(constraint_name(error) or "")
            if violation is None:
                raise
            raise violation from error

    def touch(self, patient: Patient) -> None:
        """Set the patient's time of change to now. The time always increases, even when the clock does not."""
        patient.updated_time = max(self._uow.now, patient.updated_time + _MILLISECOND)

    def remove(self, patients: Iterable[Patient], deleted_by: str | None, *, keep_accounts: bool = False) -> None:
        """Delete the patients and all their rows, keep a record of each, and add PatientRemoved events.

        `deleted_by` is the person who acts, None for a service. `keep_accounts`: the events do not mark the patients as
        custodial, so that consumers do not delete their accounts.
        """
        gone = list(patients)
        for start in range(0, len(gone), _BATCH):
            self._remove(gone[start : start + _BATCH], deleted_by, keep_accounts)

    _REMOVE = delete(Patient).where(
        Patient.clinic_id.in_(bindparam("clinic_ids", expanding=True)), Patient.id.in_(bindparam("ids", expanding=True))
    )

    def _remove(self, patients: Sequence[Patient], deleted_by: str | None, keep_accounts: bool) -> None:
        record_deletions(self._uow, patients, deleted_by)
        clinic_ids = list({patient.clinic_id for patient in patients})
        self._uow.execute(self._REMOVE, {"clinic_ids": clinic_ids, "ids": [patient.id for patient in patients]})
        ClinicsOfUsers(self._uow).remove_patients((patient.user_id, patient.clinic_id) for patient in patients)
        removed_of = Counter(patient.clinic_id for patient in patients)
        # In order of the clinic ids, so that two transactions never wait for each other.
        counts = ({"clinic_id": one, "patients": -removed_of[one]} for one in sorted(removed_of))
        self._uow.insert(ADD_TO_COUNT, *counts)
        for patient in patients:
            self._uow.session.expunge(patient)
        removed = (PatientRemoved(p.clinic_id, p.user_id, p.is_custodial and not keep_accounts) for p in patients)
        Outbox(self._uow).add(*removed)
