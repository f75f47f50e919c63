"""The queries about migrations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, not_, select
from sqlalchemy.exc import IntegrityError

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among, constraint_name
from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import Clinic, Clinician, Migration, MigrationStatus
from clinic_service.resources.migrations.errors import DuplicateMigration, MigrationNotFound

_ONE_PER_USER = "pk_migrations"
_COLUMNS = (
    Migration.user_id,
    Migration.status,
    Migration.created_time,
    Migration.updated_time,
    Migration.attestation_time,
)
_OF_CLINIC = Migration.clinic_id == bindparam("clinic_id")
_THIS = and_(_OF_CLINIC, Migration.user_id == bindparam("user_id"))


class MigrationRow(NamedTuple):
    """A migration as the API shows it."""

    user_id: str
    status: MigrationStatus
    created_time: datetime
    updated_time: datetime
    attestation_time: datetime | None


_OF_USER = select(Migration.clinic_id).where(Migration.user_id == bindparam("user_id"))


class MigrationRepository(Repository):
    """Migrations, and the accounts and clinics that are to be migrated."""

    _GET = Query(MigrationRow, select(*_COLUMNS).where(_THIS))

    def get_row(self, clinic_id: str, user_id: str) -> MigrationRow:
        """The migration as the API shows it. Raises MigrationNotFound."""
        row = self._uow.first(self._GET, {"clinic_id": clinic_id, "user_id": user_id})
        if row is None:
            raise MigrationNotFound
        return row

    _LIST = Query(MigrationRow, select(*_COLUMNS).where(_OF_CLINIC).order_by(Migration.created_time, Migration.user_id))

    def list_rows(self, clinic_id: str) -> Sequence[MigrationRow]:
        """The migrations into the clinic as the API shows them, oldest first; none for an unknown clinic."""
        return self._uow.rows(self._LIST, {"clinic_id": clinic_id})

    _LOCK = select(Migration).where(_THIS).with_for_update()

    def lock(self, clinic_id: str, user_id: str) -> Migration:
        """Lock and return the migration, for changes. Raises MigrationNotFound."""
        migration = self._uow.session.scalars(self._LOCK, {"clinic_id": clinic_id, "user_id": user_id}).one_or_none()
        if migration is None:
            raise MigrationNotFound
        return migration

    def add(self, clinic_id: str, user_id: str, attestation_time: datetime | None = None) -> Migration:
        """Add a pending migration. Raises DuplicateMigration when the user has one, in any clinic."""
        if self._uow.first(_OF_USER, {"user_id": user_id}):
            raise DuplicateMigration
        migration = Migration(
            user_id=user_id,
            clinic_id=clinic_id,
            status=MigrationStatus.PENDING,
            attestation_time=attestation_time,
            created_time=self._uow.creation_time,
            updated_time=self._uow.now,
        )
        self._uow.session.add(migration)
        try:
            self._uow.flush()
        except IntegrityError as error:
            if constraint_name(error) != _ONE_PER_USER:
                raise
            raise DuplicateMigration from error
        return migration

    _REMOVE_OF_CLINIC = delete(Migration).where(Migration.clinic_id == bindparam("of_clinic"))

    def remove_all_of_clinic(self, clinic_id: str) -> None:
        """Delete the migrations into the clinic, so that their users can migrate into another one."""
        self._uow.change(self._REMOVE_OF_CLINIC, {"of_clinic": clinic_id})

    _ADMINS = (
        select(Clinician.user_id)
        .where(Clinician.clinic_id == bindparam("clinic_id"), Clinician.counts_as_admin)
        .order_by(Clinician.user_id)
    )

    def admin_ids(self, clinic_id: str) -> Sequence[str]:
        """The user ids of the clinic's admins; exact only while the clinic's row is locked."""
        return [user_id for (user_id,) in self._uow.rows(self._ADMINS, {"clinic_id": clinic_id}) if user_id]

    _CLINIC_TO_MIGRATE = (
        select(Clinic.id)
        .join(Clinician, Clinician.clinic_id == Clinic.id)
        .where(
            among(Clinic.id, "clinic_ids"),
            Clinician.user_id == bindparam("user_id"),
            Clinician.counts_as_admin,
            not_(Clinic.is_migrated),
        )
        .order_by(Clinic.created_time, Clinic.id)
        .limit(1)
    )

    def find_clinic_to_migrate(self, user_id: str) -> str | None:
        """The id of the oldest clinic that is not migrated yet and has the user as an admin; None when there is none."""
        clinic_ids = ClinicsOfUsers(self._uow).of_clinician(user_id)
        row = self._uow.first(self._CLINIC_TO_MIGRATE, {"user_id": user_id, "clinic_ids": clinic_ids})
        return row[0] if row else None

    _LOCK_OF_USER = _OF_USER.with_for_update()
    _ADD = insert_into(Migration, "user_id", "clinic_id", "status", "created_time", "updated_time")
    _REMOVE_OF_USER = delete(Migration).where(Migration.user_id == bindparam("of_user"))

    def hold(self, user_id: str) -> None:
        """Lock the user: another unit of work that calls this for the same user waits until this one ends.

        The lock is a row with the user's unique key, which is inserted and deleted in this transaction: any other insert
        of the key waits for the end of the transaction. A user who already has a migration has a row to lock instead.
        """
        now = self._uow.now
        place = {"user_id": user_id, "clinic_id": "", "status": MigrationStatus.PENDING}
        try:
            with self._uow.session.begin_nested():
                self._uow.insert(self._ADD, {**place, "created_time": now, "updated_time": now})
                self._uow.change(self._REMOVE_OF_USER, {"of_user": user_id})
        except IntegrityError:
            self._uow.rows(self._LOCK_OF_USER, {"user_id": user_id})
