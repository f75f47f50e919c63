"""The queries about clinics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from clinic_service.db.dialects import constraint_name
from clinic_service.db.locks import locking
from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.records import whole_row
from clinic_service.db.repository import Repository
from clinic_service.models import (
    Clinic,
    ClinicDeletion,
    Invite,
    InviteStatus,
    MembershipRestriction,
    ShareCode,
    Site,
    Tag,
)
from clinic_service.resources.clinics.descriptions import ClinicDescription, describe, describe_one
from clinic_service.resources.clinics.errors import ClinicNotFound, ClinicNotMigrated, NoFreeShareCode
from clinic_service.resources.clinics.limits import PatientLimits, applying_settings, hard_limit
from clinic_service.resources.clinics.share_codes import draw_share_code


class OfClinic(Protocol):
    """A row that belongs to a clinic."""

    @property
    def clinic_id(self) -> str:
        """The id of the clinic."""


R = TypeVar("R", bound=OfClinic)

_MOST_DRAWS = 100
_NEW_CLINIC_LIMIT = 250
_CODE_TAKEN = "pk_share_codes"

_THIS = Clinic.id == bindparam("clinic_id")
_IS_MIGRATED = select(Clinic.is_migrated).where(_THIS)
_ID_BY_SHARE_CODE = select(ShareCode.clinic_id).where(ShareCode.code == bindparam("share_code"))

_FILTERS: dict[str, ColumnElement[bool]] = {
    "share_code": Clinic.id.in_(_ID_BY_SHARE_CODE),
    "created_time_start": Clinic.created_time >= bindparam("created_time_start"),
    "created_time_end": Clinic.created_time < bindparam("created_time_end"),
    # A clinic without EHR settings counts as not enabled.
    "ehr_enabled": Clinic.ehr_enabled == bindparam("ehr_enabled"),
}


@cache
def _page(names: frozenset[str]) -> Select[str]:
    """The ids of one page of the clinics that pass the named filters, oldest first."""
    return (
        select(Clinic.id)
        .where(*(condition for name, condition in _FILTERS.items() if name in names))
        .order_by(Clinic.created_time, Clinic.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )


class ClinicRepository(Repository):
    """Clinics and their share codes."""

    _GET = select(Clinic).where(_THIS)

    def get(self, clinic_id: str) -> Clinic:
        """The clinic, for changes. Raises ClinicNotFound."""
        return self._one(self._GET, clinic_id)

    _LOCK = locking(select(Clinic), Clinic).execution_options(populate_existing=True)

    def lock(self, clinic_id: str) -> Clinic:
        """Lock and return the clinic: no other transaction changes it, its members or its patients until this unit ends.

        Raises ClinicNotFound.
        """
        return self._one(self._LOCK, clinic_id)

    def lock_migrated(self, clinic_id: str) -> Clinic:
        """As `lock`. Raises ClinicNotFound, then ClinicNotMigrated."""
        clinic = self.lock(clinic_id)
        if not clinic.is_migrated:
            raise ClinicNotMigrated
        return clinic

    _HOLD = locking(select(Clinic.is_migrated), Clinic)

    def hold_migrated(self, clinic_id: str) -> None:
        """As `lock_migrated`, for callers that do not need the clinic."""
        if not self._is_migrated(self._HOLD, clinic_id):
            raise ClinicNotMigrated

    def require(self, clinic_id: str) -> None:
        """Raise ClinicNotFound unless the clinic exists."""
        self._is_migrated(_IS_MIGRATED, clinic_id)

    def require_migrated(self, clinic_id: str, *, named_by: str = "/path/clinicId") -> None:
        """Raise ClinicNotFound unless the clinic exists, and ClinicNotMigrated unless it is migrated.

        `named_by` points to what names the clinic in the request.
        """
        if not self._is_migrated(_IS_MIGRATED, clinic_id):
            raise ClinicNotMigrated.at(named_by)

    def touch(self, clinic: Clinic) -> None:
        """Set the clinic's time of change to now. The time never decreases, even when the clock is set back."""
        clinic.updated_time = max(clinic.updated_time, self._uow.now)

    def patient_limit(self, clinic: Clinic) -> int | None:
        """The number of patients that the clinic's plan allows now; None when it is unlimited."""
        return hard_limit(clinic, self._uow.now)

    _PATIENT_LIMITS = Query(
        PatientLimits, select(Clinic.country, Clinic.tier, Clinic.patient_count_settings).where(_THIS)
    )

    def patient_count_settings(self, clinic_id: str) -> dict[str, Any]:
        """The patient limits that apply to the clinic, as `patientCountSettings.v1`. Raises ClinicNotFound."""
        row = self._uow.first(self._PATIENT_LIMITS, {"clinic_id": clinic_id})
        if row is None:
            raise ClinicNotFound
        return applying_settings(row)

    def describe(self, clinic_ids: Sequence[str]) -> dict[str, ClinicDescription]:
        """The descriptions of the clinics by id, read in two statements. Unknown ids are left out."""
        return describe(self._uow, clinic_ids) if clinic_ids else {}

    def join(self, rows: Sequence[R]) -> Sequence[tuple[R, ClinicDescription]]:
        """The rows, each with the description of its clinic. A row whose clinic was deleted meanwhile is left out."""
        clinics = self.describe([*{row.clinic_id for row in rows}])
        return [(row, clinics[row.clinic_id]) for row in rows if row.clinic_id in clinics]

    def describe_one(self, clinic_id: str) -> ClinicDescription:
        """The description of the clinic. Raises ClinicNotFound."""
        found = describe_one(self._uow, clinic_id)
        if found is None:
            raise ClinicNotFound
        return found

    def list(self, filters: Mapping[str, Any], *, limit: int, offset: int) -> list[ClinicDescription]:
        """One page of the clinics that pass every filter that is not None, oldest first.

        Filters: `share_code`, including codes taken over in a merge; `created_time_start` (inclusive);
        `created_time_end` (exclusive); `ehr_enabled`.
        """
        given = {name: value for name, value in filters.items() if value is not None}
        rows = self._uow.rows(_page(frozenset(given)), given | {"limit": limit, "offset": offset})
        ids = [clinic_id for (clinic_id,) in rows]
        found = self.describe(ids)
        return [found[clinic_id] for clinic_id in ids if clinic_id in found]

    def get_id_by_share_code(self, share_code: str) -> str:
        """The id of the clinic with this share code, which may be one taken over in a merge. Raises ClinicNotFound."""
        row = self._uow.first(_ID_BY_SHARE_CODE, {"share_code": share_code})
        if row is None:
            raise ClinicNotFound
        return row[0]

    def add(self, profile: Mapping[str, Any], *, is_migrated: bool) -> Clinic:
        """Add a clinic with a new share code and the default patient limit. Raises NoFreeShareCode."""
        clinic = Clinic(
            id=self._uow.new_id(),
            is_migrated=is_migrated,
            patient_count_settings={"hardLimit": {"plan": _NEW_CLINIC_LIMIT}},
            created_time=self._uow.creation_time,
            updated_time=self._uow.now,
            **profile,
        )
        self._uow.session.add(clinic)
        self._uow.flush()
        self.add_share_code(clinic.id)
        return clinic

    def add_share_code(self, clinic_id: str, draw: Callable[[], str] = draw_share_code) -> str:
        """Give the clinic the share code that it shows: the first code from `draw` that is free.

        Raises NoFreeShareCode when 100 codes were taken.
        """
        for _ in range(_MOST_DRAWS):
            code = draw()
            if self._claim(code, clinic_id):
                return code
        raise NoFreeShareCode

    _ADD_DELETION = insert_into(ClinicDeletion, "clinic_id", "id", "deleted_time", "deleted_by_user_id", "record")
    _CANCEL_INVITES = (
        update(Invite)
        .where(Invite.clinic_id == bindparam("of_clinic"), Invite.status == InviteStatus.PENDING)
        .values(status=InviteStatus.CANCELED, modified=bindparam("time"))
    )
    _REMOVE_SHARE_CODES = delete(ShareCode).where(ShareCode.clinic_id == bindparam("of_clinic"))
    # Tags, sites and membership restrictions are deleted with it.
    _REMOVE = delete(Clinic).where(Clinic.id == bindparam("of_clinic"))

    def remove(self, clinic: Clinic, deleted_by: str | None) -> None:
        """Delete a clinic without members and patients, and all its remaining rows, and keep a record of it.

        Its share codes become free, and its open invitations are canceled. `deleted_by` is None unless a person acts.
        """
        self.record_deletion(clinic, deleted_by)
        self.discard(clinic.id)

    def record_deletion(self, clinic: Clinic, deleted_by: str | None) -> None:
        """Keep a record of the clinic as it is now, before it is deleted."""
        self._uow.insert(self._ADD_DELETION, self._deletion(clinic, deleted_by))

    def discard(self, clinic_id: str) -> None:
        """Delete a clinic without members and patients. `record_deletion` must have been called before."""
        this = {"of_clinic": clinic_id}
        self._uow.change(self._CANCEL_INVITES, {**this, "time": self._uow.now})
        self._uow.change(self._REMOVE_SHARE_CODES, this)
        self._uow.change(self._REMOVE, this)

    def _deletion(self, clinic: Clinic, deleted_by: str | None) -> dict[str, Any]:
        return {
            "clinic_id": clinic.id,
            "id": clinic.id,
            "deleted_time": self._uow.now,
            "deleted_by_user_id": deleted_by,
            "record": whole_row(clinic) | self._parts(clinic.id),
        }

    _PARTS: ClassVar[Mapping[str, Select[*tuple[Any, ...]]]] = {
        "share_codes": select(ShareCode.code, ShareCode.canonical)
        .where(ShareCode.clinic_id == bindparam("clinic_id"))
        .order_by(ShareCode.code),
        "tags": select(Tag.id, Tag.name).where(Tag.clinic_id == bindparam("clinic_id")).order_by(Tag.id),
        "sites": select(Site.id, Site.name).where(Site.clinic_id == bindparam("clinic_id")).order_by(Site.id),
        "membership_restrictions": select(MembershipRestriction.email_domain, MembershipRestriction.required_idp)
        .where(MembershipRestriction.clinic_id == bindparam("clinic_id"))
        .order_by(MembershipRestriction.position),
    }

    def _parts(self, clinic_id: str) -> dict[str, Any]:
        """The rows that belong to the clinic only and are deleted with it, as JSON, for the record of the deletion."""
        return {
            name: [row._asdict() for row in self._uow.rows(statement, {"clinic_id": clinic_id})]
            for name, statement in self._PARTS.items()
        }

    _ADD_SHARE_CODE = insert_into(ShareCode, "code", "clinic_id", "canonical")

    def _claim(self, code: str, clinic_id: str) -> bool:
        # Only the constraint can decide: another transaction may be about to commit the same code.
        try:
            with self._uow.session.begin_nested():
                self._uow.insert(self._ADD_SHARE_CODE, {"code": code, "clinic_id": clinic_id, "canonical": True})
        except IntegrityError as error:
            if constraint_name(error) != _CODE_TAKEN:
                raise
            return False
        return True

    def _one(self, statement: Select[Clinic], clinic_id: str) -> Clinic:
        clinic = self._uow.session.scalars(statement, {"clinic_id": clinic_id}).one_or_none()
        if clinic is None:
            raise ClinicNotFound
        return clinic

    def _is_migrated(self, statement: Select[bool], clinic_id: str) -> bool:
        row = self._uow.first(statement, {"clinic_id": clinic_id})
        if row is None:
            raise ClinicNotFound
        return row[0]
