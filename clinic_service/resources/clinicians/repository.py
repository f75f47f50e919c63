"""The queries about clinicians.

The admins of a clinic are people: a pending invitation or a service account never counts as an admin, whatever its
roles are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from sqlalchemy import and_, bindparam, delete, exists, func, not_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from clinic_service import clock
from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among, constraint_name
from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.records import whole_row
from clinic_service.db.repository import Repository
from clinic_service.models import Clinic, Clinician, ClinicianDeletion, ClinicianRoleUpdate
from clinic_service.models.clinician import role_columns
from clinic_service.models.invite import new_invite_key
from clinic_service.outbox.events import ClinicianAdded, ClinicianRemoved
from clinic_service.outbox.outbox import Outbox
from clinic_service.resources.clinicians.errors import ClinicianEmailTaken, DuplicateClinician
from clinic_service.resources.clinicians.listing import COLUMNS, ClinicianRow

_OF_USER = and_(Clinician.clinic_id == bindparam("clinic_id"), Clinician.user_id == bindparam("user_id"))
_OF_INVITE = and_(
    Clinician.clinic_id == bindparam("clinic_id"),
    Clinician.invite_id == bindparam("invite_id"),
    Clinician.user_id.is_(None),
)
_OTHER = aliased(Clinician)
_HAS_OTHER_ADMIN = exists().where(
    _OTHER.clinic_id == Clinician.clinic_id, _OTHER.user_id != Clinician.user_id, _OTHER.counts_as_admin
)
_HAS_OTHER_EMAIL = Clinician.email.is_distinct_from(bindparam("email", type_=Clinician.email.type))
_NAMES = [column.key for column in Clinician.__mapper__.column_attrs]


class ClinicianRepository(Repository):
    """Members, service accounts and pending invitations of clinics.

    The methods add the events ClinicianAdded and ClinicianRemoved to the outbox, because several groups add and remove
    clinicians. For the same reason they update a clinic's time of change when its set of admins changes. The exception is
    `add`: its caller calls `note_change_of_admins`, because the clinic itself may be new.
    """

    _IS_MEMBER = select(Clinician.id).where(_OF_USER, or_(Clinician.is_admin, Clinician.is_member))

    def is_member(self, clinic_id: str, user_id: str) -> bool:
        """Whether the user is a member or an admin; a prescriber without another role is neither."""
        return self._uow.first(self._IS_MEMBER, {"clinic_id": clinic_id, "user_id": user_id}) is not None

    _ROW = Query(ClinicianRow, select(*COLUMNS).where(_OF_USER))

    def find_row(self, clinic_id: str, user_id: str) -> ClinicianRow | None:
        """The clinician as the API shows it; None when the user has no row in the clinic. Invitations have no user yet."""
        return self._uow.first(self._ROW, {"clinic_id": clinic_id, "user_id": user_id})

    _INVITED_ROW = Query(ClinicianRow, select(*COLUMNS).where(_OF_INVITE))

    def find_invited_row(self, clinic_id: str, invite_id: str) -> ClinicianRow | None:
        """The pending clinician as the API shows it; None when the clinic has none with that invitation."""
        return self._uow.first(self._INVITED_ROW, {"clinic_id": clinic_id, "invite_id": invite_id})

    _FIND = select(Clinician).where(_OF_USER)

    def find(self, clinic_id: str, user_id: str) -> Clinician | None:
        """The row of a member or service account, for changes."""
        return self._uow.session.scalars(self._FIND, {"clinic_id": clinic_id, "user_id": user_id}).first()

    _FIND_INVITED = select(Clinician).where(_OF_INVITE)

    def find_invited(self, clinic_id: str, invite_id: str) -> Clinician | None:
        """The row of an invitation that nobody has accepted yet, for changes."""
        return self._uow.session.scalars(self._FIND_INVITED, {"clinic_id": clinic_id, "invite_id": invite_id}).first()

    _ALL_OF_CLINIC = (
        select(Clinician)
        .where(Clinician.clinic_id == bindparam("clinic_id"))
        .order_by(Clinician.created_time, Clinician.id)
    )

    def all_of_clinic(self, clinic_id: str) -> Sequence[Clinician]:
        """Every row of the clinic, invitations and service accounts included, oldest first."""
        return self._uow.session.scalars(self._ALL_OF_CLINIC, {"clinic_id": clinic_id}).all()

    _ALL_OF_USER = (
        select(Clinician)
        .where(among(Clinician.clinic_id, "clinic_ids"), Clinician.user_id == bindparam("user_id"))
        .order_by(Clinician.clinic_id)
    )

    def all_of_user(self, user_id: str) -> Sequence[Clinician]:
        """The rows of the user in all clinics, by clinic id."""
        clinic_ids = ClinicsOfUsers(self._uow).of_clinician(user_id)
        return self._uow.session.scalars(self._ALL_OF_USER, {"clinic_ids": clinic_ids, "user_id": user_id}).all()

    _COUNT_ADMINS = select(func.count()).where(Clinician.clinic_id == bindparam("clinic_id"), Clinician.counts_as_admin)

    def count_admins(self, clinic_id: str) -> int:
        """The number of the clinic's admins; exact only while the clinic's row is locked."""
        return self._uow.rows(self._COUNT_ADMINS, {"clinic_id": clinic_id})[0][0]

    _ONLY_ADMIN_OF = select(Clinician.clinic_id).where(
        among(Clinician.clinic_id, "clinic_ids"),
        Clinician.user_id == bindparam("user_id"),
        Clinician.counts_as_admin,
        not_(_HAS_OTHER_ADMIN),
    )

    def only_admin_of(self, user_id: str, clinic_ids: Collection[str]) -> Sequence[str]:
        """The ids of those clinics whose only admin is the user; exact only while the clinics' rows are locked."""
        these = {"user_id": user_id, "clinic_ids": list(clinic_ids)}
        return [clinic_id for (clinic_id,) in self._uow.rows(self._ONLY_ADMIN_OF, these)]

    _ADD = insert_into(Clinician, *_NAMES)

    def add(
        self,
        clinic_id: str,
        *,
        roles: Iterable[str],
        user_id: str | None = None,
        invite_id: str | None = None,
        email: str | None = None,
        name: str | None = None,
        is_service_account: bool = False,
    ) -> ClinicianRow:
        """Add a row: of a member when a user is given, else of a pending invitation, with a new key unless one is given.

        The address is stored in lower case. Raises DuplicateClinician when the clinic has a row with that user,
        invitation or address, or when another clinic has a row with that invitation. After the error the transaction
        cannot be used, unless a savepoint was set.
        """
        # Not an entity, because making one would take longer than to store the row.
        values: dict[str, Any] = {
            "clinic_id": clinic_id,
            "id": self._uow.new_id(),
            "user_id": user_id,
            "invite_id": None if user_id else invite_id or new_invite_key(),
            "email": email.lower() if email else None,
            "name": name,
            **role_columns(roles),
            "is_service_account": is_service_account,
            "created_time": self._uow.creation_time,
            "updated_time": self._uow.now,
        }
        clinics = ClinicsOfUsers(self._uow)
        try:
            self._uow.insert(self._ADD, values)
            if user_id:
                clinics.add_clinicians([(user_id, clinic_id)])
            else:
                clinics.add_pending(values["invite_id"], clinic_id)
        except IntegrityError as error:
            self._refuse_duplicate(error)
        if user_id:
            Outbox(self._uow).add(ClinicianAdded(clinic_id, user_id))
        shown = values | dict.fromkeys(("created_time", "updated_time"), clock.to_wire(self._uow.now))
        return ClinicianRow(*(shown[name] for name in ClinicianRow._fields))

    def admit(self, clinician: Clinician, user_id: str, name: str | None) -> None:
        """Make a pending clinician a member. The row keeps the address that was invited.

        Raises DuplicateClinician when the user has a row in the clinic already.
        """
        if clinician.invite_id:
            ClinicsOfUsers(self._uow).remove_pending([clinician.invite_id])
        clinician.user_id, clinician.invite_id = user_id, None
        clinician.name = name
        clinician.updated_time = max(clinician.updated_time, self._uow.now)
        self.flush()
        ClinicsOfUsers(self._uow).add_clinicians([(user_id, clinician.clinic_id)])
        Outbox(self._uow).add(ClinicianAdded(clinician.clinic_id, user_id))
        self._note_admins([clinician])

    def flush(self) -> None:
        """Write the changes. Raises DuplicateClinician when two rows of a clinic now have the same user or address."""
        try:
            self._uow.session.flush()
        except IntegrityError as error:
            self._refuse_duplicate(error)

    def _refuse_duplicate(self, error: IntegrityError) -> NoReturn:
        if not _is_duplicate(error):
            raise error
        raise DuplicateClinician.at(_NAMED_BY.get(constraint_name(error) or "", "/body/email")) from error

    def change_roles(self, clinician: Clinician, roles: Iterable[str], updated_by: str) -> None:
        """Give the clinician these roles, and record in the history who changed them."""
        was_admin = clinician.counts_as_admin
        clinician.roles = roles
        clinician.updated_time = self._uow.now
        self._add_role_update(clinician, updated_by)
        if clinician.counts_as_admin != was_admin:
            self.note_change_of_admins({clinician.clinic_id})

    def _add_role_update(self, clinician: Clinician, updated_by: str) -> None:
        self._uow.session.add(
            ClinicianRoleUpdate(
                clinic_id=clinician.clinic_id,
                clinician_id=clinician.id,
                id=self._uow.new_id(),
                roles=[role.value for role in clinician.roles],
                updated_by=updated_by,
                time=self._uow.now,
            )
        )

    _SET_EMAIL = (
        update(Clinician)
        .where(
            Clinician.clinic_id == bindparam("of_clinic"), Clinician.user_id == bindparam("of_user"), _HAS_OTHER_EMAIL
        )
        .values(email=bindparam("email"), updated_time=bindparam("updated_time"))
    )
    _SET_PENDING_EMAIL = (
        update(Clinician)
        .where(
            Clinician.clinic_id == bindparam("of_clinic"),
            Clinician.invite_id == bindparam("of_invite"),
            Clinician.user_id.is_(None),
            _HAS_OTHER_EMAIL,
        )
        .values(email=bindparam("email"), updated_time=bindparam("updated_time"))
    )

    def set_email(self, user_id: str, email: str, invites: Mapping[str, str]) -> None:
        """Store the address, in lower case, in every row of the user and in the pending rows of `invites`.

        `invites` has the key of an invitation for each clinic; the pending row gets the address where the user has no row.
        Raises ClinicianEmailTaken when another row of one of the clinics has the address.
        """
        clinic_ids = ClinicsOfUsers(self._uow).of_clinician(user_id)
        values = {"of_user": user_id, "email": email.lower(), "updated_time": self._uow.now}
        pending = {clinic_id: key for clinic_id, key in invites.items() if clinic_id not in clinic_ids}
        try:
            self._uow.change(self._SET_EMAIL, *({**values, "of_clinic": one} for one in clinic_ids))
            del values["of_user"]
            self._uow.change(
                self._SET_PENDING_EMAIL,
                *({**values, "of_clinic": clinic_id, "of_invite": key} for clinic_id, key in pending.items()),
            )
        except IntegrityError as error:
            if not _is_duplicate(error):
                raise
            raise ClinicianEmailTaken from error

    _PENDING_EMAILS = select(Clinician.invite_id, Clinician.email).where(
        among(Clinician.clinic_id, "clinic_ids"), among(Clinician.invite_id, "keys"), Clinician.user_id.is_(None)
    )

    def pending_emails(self, clinic_ids: Collection[str], keys: Collection[str]) -> dict[str, str | None]:
        """The addresses of the pending clinicians of these invitations, by the key of the invitation."""
        these = {"clinic_ids": list(clinic_ids), "keys": list(keys)}
        return {str(row.invite_id): row.email for row in self._uow.rows(self._PENDING_EMAILS, these)}

    _REMOVE_INVITED = delete(Clinician).where(
        Clinician.clinic_id == bindparam("of_clinic"),
        Clinician.invite_id == bindparam("of_key"),
        Clinician.user_id.is_(None),
    )

    def remove_invited(self, *invites: tuple[str, str]) -> bool:
        """Delete the pending clinicians of the invitations, each given by its clinic and key, without keeping a record.

        False when there is none.
        """
        rows = ({"of_clinic": clinic_id, "of_key": key} for clinic_id, key in invites)
        removed = self._uow.change(self._REMOVE_INVITED, *rows) > 0
        if removed:
            ClinicsOfUsers(self._uow).remove_pending(key for _, key in invites)
        return removed

    _ADD_DELETION = insert_into(
        ClinicianDeletion, "clinic_id", "id", "user_id", "deleted_time", "deleted_by_user_id", "record"
    )

    def remove(self, clinicians: Iterable[Clinician], deleted_by: str | None) -> None:
        """Delete the rows with their histories and keep a record of each; `deleted_by` is None unless a person acts.

        This method does not protect the last admin.
        """
        gone = list(clinicians)
        if not gone:
            return
        self._uow.insert(self._ADD_DELETION, *(self._deletion(clinician, deleted_by) for clinician in gone))
        for clinician in gone:
            self._uow.session.delete(clinician)
        self._uow.session.flush()
        clinics = ClinicsOfUsers(self._uow)
        clinics.remove_clinicians((one.user_id, one.clinic_id) for one in gone if one.user_id)
        clinics.remove_pending(one.invite_id for one in gone if one.invite_id)
        Outbox(self._uow).add(*(ClinicianRemoved(c.clinic_id, c.user_id) for c in gone if c.user_id))
        self._note_admins(gone)

    def _note_admins(self, changed: Iterable[Clinician]) -> None:
        self.note_change_of_admins({clinician.clinic_id for clinician in changed if clinician.counts_as_admin})

    # The time never decreases, even when the clock is set back.
    _MOVE_CLINICS_ON = (
        update(Clinic)
        .where(
            Clinic.id.in_(bindparam("clinic_ids", expanding=True)),
            Clinic.updated_time < bindparam("time", type_=Clinic.updated_time.type),
        )
        .values(updated_time=bindparam("time"))
    )

    def note_change_of_admins(self, clinic_ids: Collection[str]) -> None:
        """Update the time of change of the clinics, in each of which somebody became an admin or is no longer one."""
        if clinic_ids:
            self._uow.execute(self._MOVE_CLINICS_ON, {"clinic_ids": sorted(clinic_ids), "time": self._uow.now})

    def _deletion(self, clinician: Clinician, deleted_by: str | None) -> dict[str, Any]:
        return {
            "clinic_id": clinician.clinic_id,
            "id": clinician.id,
            "user_id": clinician.user_id,
            "deleted_time": self._uow.now,
            "deleted_by_user_id": deleted_by,
            "record": whole_row(clinician),
        }


# For each unique constraint of the table, the member of a request that breaks it.
_NAMED_BY = {
    "ix_clinicians_clinic_id_user_id": "/body/id",
    "ix_clinicians_clinic_id_invite_id": "/body/inviteId",
    "pk_pending_clinicians": "/body/inviteId",
}


def _is_duplicate(error: IntegrityError) -> bool:
    name = constraint_name(error) or ""
    return name in _NAMED_BY or name.startswith("ix_clinicians_")
