"""The queries about a user in all clinics, except those about the user's rows as clinician and as patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BindParameter, and_, bindparam, delete, literal_column, not_, or_, select, union, update

from clinic_service.db.locks import lock_by_clinic, locking
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.models import (
    AccountDeletion,
    Clinic,
    Clinician,
    Invite,
    InviteStatus,
    InviteType,
    Membership,
    Patient,
    PatientRecord,
)

_USER: BindParameter[str] = bindparam("user_id")
_EMAILS: BindParameter[str] = bindparam("emails", expanding=True)

# An invitation that was sent before the account existed is connected to the user only by the address.
_ADDRESSED = or_(Invite.user_id == _USER, and_(Invite.user_id.is_(None), Invite.email.in_(_EMAILS)))
_OFFERED = and_(Invite.type == InviteType.PATIENT, Invite.creator_id == _USER)


_ONE_ROW = select(literal_column("1").label("one")).subquery()


class Standing(NamedTuple):
    """Whether the account of a user was deleted, and whether the user is a member or an admin of a clinic."""

    is_deleted: bool
    is_admin: bool = False
    is_member: bool = False


class InviteOfUser(NamedTuple):
    """An invitation to a user, of any status."""

    clinic_id: str
    key: str
    email: str | None
    status: InviteStatus


class UserRepository(Repository):
    """The rows that refer to a user, in all clinics."""

    _IS_DELETED = select(AccountDeletion.user_id).where(AccountDeletion.user_id == _USER)
    # One statement, because nearly every request of a person needs both.
    _STANDING = select(
        AccountDeletion.user_id.is_not(None).label("is_deleted"), Clinician.is_admin, Clinician.is_member
    ).select_from(
        _ONE_ROW.outerjoin(AccountDeletion, AccountDeletion.user_id == _USER).outerjoin(
            Clinician, and_(Clinician.clinic_id == bindparam("clinic_id"), Clinician.user_id == _USER)
        )
    )

    def standing(self, user_id: str, clinic_id: str | None) -> Standing:
        """The standing of the user, in the clinic if one is given. An admin is a member as well."""
        if clinic_id is None:
            return Standing(self._uow.first(self._IS_DELETED, {"user_id": user_id}) is not None)
        these = {"user_id": user_id, "clinic_id": clinic_id}
        ((is_deleted, is_admin, is_member),) = self._uow.rows(self._STANDING, these)
        # Without a row in the clinic both columns are null, and the user is neither.
        return Standing(is_deleted, bool(is_admin), bool(is_admin or is_member))

    _CREATOR = select(Invite.creator_id).where(Invite.key == bindparam("key"))

    def created_invite(self, invite_key: str, user_id: str) -> bool:
        """Whether the user created the invitation with this key."""
        row = self._uow.first(self._CREATOR, {"key": invite_key})
        return row is not None and row[0] == user_id

    _CLINICS_OF_USER = union(
        select(Membership.clinic_id).where(Membership.user_id == _USER),
        select(PatientRecord.clinic_id).where(PatientRecord.user_id == _USER),
        select(Invite.clinic_id).where(or_(_ADDRESSED, _OFFERED)),
    )
    _LOCK_CLINIC = locking(select(Clinic.id), Clinic)

    def lock_clinics(self, user_id: str, emails: Sequence[str] = ()) -> Sequence[str]:
        """Lock the clinics that have rows about the user, or an invitation to one of `emails`, and return their ids.

        No other transaction changes these clinics, their members or their patients until this unit ends. Clinics that get
        a row about the user afterwards are not included.
        """
        these = {"user_id": user_id, "emails": list(emails)}
        locked = lock_by_clinic(
            lambda: self._uow.execute(self._CLINICS_OF_USER, these).scalars().all(),
            lambda clinic_id: self._uow.rows(self._LOCK_CLINIC, {"clinic_id": clinic_id}),
        )
        return [row.id for row in locked]

    _OWN_ACCOUNTS = (
        select(Patient)
        .where(Patient.clinic_id.in_(bindparam("clinic_ids", expanding=True)), not_(Patient.permission_custodian))
        .order_by(Patient.clinic_id, Patient.id)
    )

    def patients_with_own_accounts(self, clinic_ids: Sequence[str]) -> Sequence[Patient]:
        """The patients of these clinics who manage their accounts themselves. They include the demo patient."""
        return self._uow.session.scalars(self._OWN_ACCOUNTS, {"clinic_ids": list(clinic_ids)}).all()

    _ADDRESSED_KEYS = select(Invite.clinic_id, Invite.key).where(_ADDRESSED)

    def list_addressed(self, user_id: str, emails: Sequence[str]) -> Sequence[tuple[str, str]]:
        """The clinics and keys of the invitations to the user. `emails` are the user's addresses in lower case."""
        these = {"user_id": user_id, "emails": list(emails)}
        return [(row.clinic_id, row.key) for row in self._uow.execute(self._ADDRESSED_KEYS, these)]

    _REMOVE_INVITES = delete(Invite).where(or_(_ADDRESSED, _OFFERED))

    def remove_invites(self, user_id: str, emails: Sequence[str]) -> None:
        """Delete the invitations to the user, and the user's own offers.

        `emails` are the user's addresses in lower case.
        """
        self._uow.execute(self._REMOVE_INVITES, {"user_id": user_id, "emails": list(emails)})

    _INVITES_OF_USER = Query(
        InviteOfUser,
        select(Invite.clinic_id, Invite.key, Invite.email, Invite.status)
        .where(Invite.user_id == _USER)
        .order_by(Invite.created, Invite.key),
    )

    def invites_of(self, user_id: str) -> list[InviteOfUser]:
        """The invitations to the user, the oldest first."""
        return self._uow.rows(self._INVITES_OF_USER, {"user_id": user_id})

    _SET_EMAIL = (
        update(Invite)
        .where(Invite.key == bindparam("of_key"))
        .values(email=bindparam("email"), modified=bindparam("modified"))
    )

    def set_invited_emails(self, emails: Mapping[str, str | None]) -> None:
        """Store new addresses of invitations, by their keys."""
        self._uow.change(
            self._SET_EMAIL,
            *({"of_key": key, "email": email, "modified": self._uow.now} for key, email in emails.items()),
        )
