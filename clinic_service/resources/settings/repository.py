"""The queries about settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, not_, select, update
from sqlalchemy.orm import aliased

from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import Clinic, MembershipRestriction, Patient
from clinic_service.resources.invites.restrictions import Restriction
from clinic_service.resources.settings.errors import SettingsNotFound

_THIS = Clinic.id == bindparam("clinic_id")


class MrnSettings(NamedTuple):
    """A clinic's settings for medical record numbers; None where they were never stored."""

    mrn_required: bool | None
    mrn_unique: bool | None


_OTHER = aliased(Patient)
_SHARES_MRN = (
    select(_OTHER.id)
    .where(_OTHER.clinic_id == bindparam("of_clinic"), _OTHER.mrn_key == Patient.mrn_key, _OTHER.id != Patient.id)
    .exists()
)


class SettingsRepository(Repository):
    """Settings of clinics that are not part of the profile. Methods that write need the lock of the clinic's row."""

    _RESTRICTIONS = Query(
        Restriction,
        select(MembershipRestriction.email_domain, MembershipRestriction.required_idp)
        .where(MembershipRestriction.clinic_id == bindparam("clinic_id"))
        .order_by(MembershipRestriction.position),
    )

    def list_restrictions(self, clinic_id: str) -> Sequence[Restriction]:
        """The membership restrictions of the clinic in their order; none for an unknown clinic."""
        return self._uow.rows(self._RESTRICTIONS, {"clinic_id": clinic_id})

    _REMOVE_RESTRICTIONS = delete(MembershipRestriction).where(
        MembershipRestriction.clinic_id == bindparam("of_clinic")
    )
    _ADD_RESTRICTIONS = insert_into(MembershipRestriction, "clinic_id", "position", "email_domain", "required_idp")

    def replace_restrictions(self, clinic_id: str, restrictions: Sequence[tuple[str, str | None]]) -> None:
        """Store pairs of an e-mail domain and the identity provider that it requires, if any."""
        self._uow.change(self._REMOVE_RESTRICTIONS, {"of_clinic": clinic_id})
        rows = (
            {"clinic_id": clinic_id, "position": position, "email_domain": domain, "required_idp": idp}
            for position, (domain, idp) in enumerate(restrictions)
        )
        self._uow.insert(self._ADD_RESTRICTIONS, *rows)

    _MRN = Query(MrnSettings, select(Clinic.mrn_required, Clinic.mrn_unique).where(_THIS))

    def get_mrn(self, clinic_id: str) -> MrnSettings:
        """The clinic's settings for medical record numbers. Raises SettingsNotFound when they were never stored."""
        row = self._uow.first(self._MRN, {"clinic_id": clinic_id})
        if row is None or row.mrn_unique is None:
            raise SettingsNotFound
        return row

    _BIND_MRNS = (
        update(Patient)
        .where(Patient.clinic_id == bindparam("of_clinic"), not_(Patient.require_unique_mrn), not_(_SHARES_MRN))
        .values(require_unique_mrn=True)
    )

    def bind_mrns(self, clinic_id: str) -> None:
        """Apply the unique constraint to every medical record number that no other patient of the clinic has."""
        self._uow.change(self._BIND_MRNS, {"of_clinic": clinic_id})

    _RELEASE_MRNS = (
        update(Patient)
        .where(and_(Patient.clinic_id == bindparam("of_clinic"), Patient.require_unique_mrn))
        .values(require_unique_mrn=False)
    )

    def release_mrns(self, clinic_id: str) -> None:
        """Exempt all patients of the clinic from the unique constraint on medical record numbers."""
        self._uow.change(self._RELEASE_MRNS, {"of_clinic": clinic_id})

    _EHR = select(Clinic.ehr_settings).where(_THIS)

    def get_ehr(self, clinic_id: str) -> Mapping[str, Any]:
        """The stored EHR settings. Raises SettingsNotFound when they were never stored."""
        row = self._uow.first(self._EHR, {"clinic_id": clinic_id})
        settings: Mapping[str, Any] | None = row[0] if row else None
        if settings is None:
            raise SettingsNotFound
        return settings

    _SAME_SOURCE = (
        select(Clinic.id)
        .where(
            Clinic.ehr_provider == bindparam("provider"),
            Clinic.ehr_source_id == bindparam("source_id"),
            Clinic.ehr_enabled,
            Clinic.id != bindparam("clinic_id"),
        )
        .order_by(Clinic.id)
        .limit(1)
    )

    def find_clinic_of_source(self, provider: str, source_id: str, *, other_than: str) -> str | None:
        """The id of a clinic other than `other_than` that is enabled for messages of this source; None without one."""
        parameters = {"provider": provider, "source_id": source_id, "clinic_id": other_than}
        row = self._uow.first(self._SAME_SOURCE, parameters)
        return row[0] if row else None
