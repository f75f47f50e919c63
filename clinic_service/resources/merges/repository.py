"""The queries of a merge: the facts of both clinics, and the successors of merged clinics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, tuple_

from clinic_service.db.dialects import among
from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import (
    BgUnits,
    Clinic,
    Clinician,
    Invite,
    MembershipRestriction,
    MergeElementType,
    MergePlanElement,
    Patient,
    PatientSite,
    PatientTag,
    Role,
    Site,
    Summary,
    Tag,
)
from clinic_service.resources.merges.facts import (
    ClinicFacts,
    MemberFacts,
    PatientFacts,
    RestrictionFacts,
    Settings,
    SiteFacts,
    TagFacts,
)

# The number of patients that are read at a time.
PAGE = 500


_PATIENT_COLUMNS = (
    Patient.id,
    Patient.user_id,
    Patient.full_name,
    Patient.birth_date,
    Patient.mrn,
    Patient.mrn_key,
    Patient.name_key,
    Patient.permission_custodian,
)
# The demo patient is excluded. Without a demo patient the bound value is the empty text, which is no user's id.
_COMPARED = and_(Patient.clinic_id == bindparam("clinic_id"), Patient.user_id != bindparam("demo_user_id"))
# Names are compared without the space around them, but `name_key` includes it.
_WHITE_SPACE = [character for character in map(chr, range(0x3001)) if character.isspace()]


class MergeRepository(Repository):
    """The facts of two clinics that are to be merged. Patients are read in batches."""

    _CLINIC = select(
        Clinic.name, Clinic.mrn_required, Clinic.mrn_unique, Clinic.preferred_bg_units, Clinic.timezone
    ).where(Clinic.id == bindparam("clinic_id"))
    _RESTRICTIONS = (
        select(MembershipRestriction.email_domain, MembershipRestriction.required_idp)
        .where(MembershipRestriction.clinic_id == bindparam("clinic_id"))
        .order_by(MembershipRestriction.position)
    )
    _TAGS = select(Tag.id, Tag.name).where(Tag.clinic_id == bindparam("clinic_id")).order_by(Tag.id)
    _SITES = select(Site.id, Site.name).where(Site.clinic_id == bindparam("clinic_id")).order_by(Site.id)
    _MEMBERS = (
        select(
            Clinician.id,
            Clinician.user_id,
            Clinician.email,
            Clinician.name,
            Clinician.is_admin,
            Clinician.is_member,
            Clinician.is_prescriber,
            Clinician.is_service_account,
            Invite.user_id.label("invited_user_id"),
        )
        .outerjoin(Invite, and_(Clinician.user_id.is_(None), Invite.key == Clinician.invite_id))
        .where(Clinician.clinic_id == bindparam("clinic_id"))
        .order_by(Clinician.created_time, Clinician.id)
    )

    def find_facts(self, clinic_id: str) -> ClinicFacts | None:
        """The facts of the clinic without its patients; None for an unknown clinic."""
        this = {"clinic_id": clinic_id}
        clinic = self._uow.first(self._CLINIC, this)
        if clinic is None:
            return None
        return ClinicFacts(
            id=clinic_id,
            name=clinic.name,
            settings=_settings(clinic),
            restrictions=tuple(RestrictionFacts(*row) for row in self._uow.rows(self._RESTRICTIONS, this)),
            tags=tuple(TagFacts(*row) for row in self._uow.rows(self._TAGS, this)),
            sites=tuple(SiteFacts(*row) for row in self._uow.rows(self._SITES, this)),
            members=tuple(_member(row) for row in self._uow.rows(self._MEMBERS, this)),
        )

    _PAGE = (
        select(*_PATIENT_COLUMNS)
        .where(
            _COMPARED,
            tuple_(Patient.name_key, Patient.id)
            > tuple_(bindparam("name_key", type_=Patient.name_key.type), bindparam("id", type_=Patient.id.type)),
        )
        .order_by(Patient.name_key, Patient.id)
        .limit(bindparam("limit"))
    )

    def pages(self, clinic_id: str, demo_user_id: str) -> Iterator[list[PatientFacts]]:
        """All patients of the clinic except the demo patient, sorted by name, in batches of 500.

        No other transaction may add or remove patients meanwhile.
        """
        parameters = {"clinic_id": clinic_id, "demo_user_id": demo_user_id, "limit": PAGE}
        last = {"name_key": b"", "id": ""}
        while rows := self._uow.rows(self._PAGE, parameters | last):
            yield self.with_links(clinic_id, _facts(rows))
            last = {"name_key": rows[-1].name_key, "id": rows[-1].id}

    _SAME_USERS = select(*_PATIENT_COLUMNS).where(
        Patient.clinic_id == bindparam("clinic_id"), among(Patient.user_id, "user_ids")
    )

    def same_users(self, clinic_id: str, patients: Sequence[PatientFacts]) -> list[PatientFacts]:
        """The clinic's records of the users of `patients`."""
        users = {"clinic_id": clinic_id, "user_ids": [patient.user_id for patient in patients]}
        return self.with_links(clinic_id, _facts(self._uow.rows(self._SAME_USERS, users)))

    # Different names can have the same `name_key`, so the caller compares the names of the found patients.
    _SHARING = select(*_PATIENT_COLUMNS).where(
        _COMPARED,
        or_(
            among(Patient.mrn_key, "mrn_keys"),
            Patient.name_key.in_(bindparam("name_keys", expanding=True)),
        ),
    )

    def sharing(self, clinic_id: str, patients: Sequence[PatientFacts], demo_user_id: str) -> list[PatientFacts]:
        """The clinic's patients who share a name or a number with one of `patients`, and some others.

        They come without tags and sites. Patients with white space around their names are left out (see `spaced`).
        """
        parameters = {
            "clinic_id": clinic_id,
            "demo_user_id": demo_user_id,
            "mrn_keys": _mrn_keys(patients),
            "name_keys": sorted({key for patient in patients for key in patient.sought_name_keys}),
        }
        return _facts(self._uow.execute(self._SHARING, parameters).all())

    _SPACED = select(*_PATIENT_COLUMNS).where(
        _COMPARED,
        or_(
            func.substr(Patient.full_name, 1, 1).in_(_WHITE_SPACE),
            func.substr(Patient.full_name, func.length(Patient.full_name), 1).in_(_WHITE_SPACE),
        ),
    )

    def spaced(self, clinic_id: str, demo_user_id: str) -> list[PatientFacts]:
        """The clinic's patients with white space before or after the name; without tags and sites."""
        these = {"clinic_id": clinic_id, "demo_user_id": demo_user_id}
        return _facts(self._uow.execute(self._SPACED, these).all())

    _REPEATED_MRNS = (
        select(Patient.mrn_key).where(_COMPARED, among(Patient.mrn_key, "mrn_keys")).group_by(Patient.mrn_key)
    ).having(func.count() > 1)

    def repeated_mrns(
        self, clinic_id: str, patients: Sequence[PatientFacts], demo_user_id: str
    ) -> frozenset[str | None]:
        """The keys of the medical record numbers of `patients` that several patients of the clinic have."""
        parameters = {"clinic_id": clinic_id, "demo_user_id": demo_user_id, "mrn_keys": _mrn_keys(patients)}
        return frozenset(row.mrn_key for row in self._uow.rows(self._REPEATED_MRNS, parameters))

    _ADD_ELEMENTS = insert_into(MergePlanElement, "clinic_id", "plan_id", "id", "source_id", "type", "element")

    def add_elements(
        self,
        plan_id: str,
        source_id: str,
        target_id: str,
        kind: MergeElementType,
        elements: Iterable[Mapping[str, Any]],
    ) -> None:
        """Store parts of the plan of a merge that is being carried out."""
        key = {"clinic_id": target_id, "plan_id": plan_id, "source_id": source_id, "type": kind}
        rows = ({**key, "id": self._uow.new_id(), "element": dict(element)} for element in elements)
        self._uow.insert(self._ADD_ELEMENTS, *rows)

    _LAST_UPLOADS = (
        select(Summary.patient_id, func.max(Summary.last_upload_date).label("last_upload"))
        .where(Summary.clinic_id == bindparam("clinic_id"), among(Summary.patient_id, "ids"))
        .where(Summary.last_upload_date.is_not(None))
        .group_by(Summary.patient_id)
    )

    def last_uploads(self, clinic_id: str, patients: Sequence[PatientFacts]) -> Mapping[str, datetime]:
        """The times of the latest uploads of the clinic's patients, by patient id, where they are known."""
        these = {"clinic_id": clinic_id, "ids": [patient.id for patient in patients]}
        return {row.patient_id: row.last_upload for row in self._uow.rows(self._LAST_UPLOADS, these)}

    _SUCCESSOR = select(MergePlanElement.clinic_id).where(
        MergePlanElement.source_id == bindparam("clinic_id"), MergePlanElement.type == MergeElementType.CLINIC
    )

    def find_successor(self, clinic_id: str) -> str | None:
        """The id of the clinic into which this deleted clinic was merged. That clinic may be deleted as well."""
        row = self._uow.first(self._SUCCESSOR, {"clinic_id": clinic_id})
        return row.clinic_id if row else None

    _TAGS_OF = (
        select(PatientTag.patient_id, PatientTag.tag_id)
        .where(PatientTag.clinic_id == bindparam("clinic_id"), among(PatientTag.patient_id, "ids"))
        .order_by(PatientTag.tag_id)
    )
    _SITES_OF = (
        select(PatientSite.patient_id, PatientSite.site_id)
        .where(PatientSite.clinic_id == bindparam("clinic_id"), among(PatientSite.patient_id, "ids"))
        .order_by(PatientSite.position, PatientSite.site_id)
    )

    def with_links(self, clinic_id: str, patients: Sequence[PatientFacts]) -> list[PatientFacts]:
        """The patients with their tags and sites."""
        if not patients:
            return []
        these = {"clinic_id": clinic_id, "ids": [patient.id for patient in patients]}
        tags, sites = (_by_patient(self._uow.rows(query, these)) for query in (self._TAGS_OF, self._SITES_OF))
        return [one._replace(tag_ids=tuple(tags[one.id]), site_ids=tuple(sites[one.id])) for one in patients]


def _settings(clinic: Any) -> Settings:
    return Settings(
        bool(clinic.mrn_required),
        bool(clinic.mrn_unique),
        clinic.preferred_bg_units or BgUnits.MG_DL,
        clinic.timezone,
    )


def _facts(rows: Iterable[Any]) -> list[PatientFacts]:
    return [PatientFacts(*row) for row in rows]


def _member(row: Any) -> MemberFacts:
    held = {Role.ADMIN: row.is_admin, Role.MEMBER: row.is_member, Role.PRESCRIBER: row.is_prescriber}
    return MemberFacts(
        row.id,
        row.user_id,
        row.email,
        row.name,
        tuple(role for role in Role if held[role]),
        bool(row.is_service_account),
        row.invited_user_id,
    )


def _mrn_keys(patients: Sequence[PatientFacts]) -> list[str]:
    return sorted({patient.mrn_key for patient in patients if patient.mrn_key})


def _by_patient(rows: Sequence[Any]) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for patient_id, link_id in rows:
        found[patient_id].append(link_id)
    return found
