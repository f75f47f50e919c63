"""Moves what a clinic has besides its patients to another clinic: members, share codes, invitations, counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, not_, null, or_, select, update
from sqlalchemy.orm import aliased

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among
from clinic_service.db.repository import Repository, Unit
from clinic_service.db.types import UtcDateTime
from clinic_service.models import (
    Clinician,
    ClinicianRoleUpdate,
    DemoClinic,
    Invite,
    InviteStatus,
    InviteType,
    MailRequest,
    Migration,
    MigrationStatus,
    Reservation,
    ShareCode,
)
from clinic_service.resources.merges.moving import copying, table_of

_NOW = bindparam("now", type_=UtcDateTime())
_TARGET = bindparam("target_id", type_=Invite.clinic_id.type)

_MEMBERS = and_(Clinician.clinic_id == bindparam("of_clinic"), among(Clinician.id, "ids"))

_OTHER = aliased(Invite)
_PENDING_OFFER = and_(Invite.type == InviteType.PATIENT, Invite.status == InviteStatus.PENDING)
_IS_OFFERED = exists().where(
    _OTHER.clinic_id == _TARGET,
    _OTHER.creator_id == Invite.creator_id,
    _OTHER.type == InviteType.PATIENT,
    _OTHER.status == InviteStatus.PENDING,
)


class Belongings(Repository):
    """Moves what the source has besides its patients to the target. The caller has locked the rows of both clinics."""

    def __init__(self, uow: Unit, source_id: str, target_id: str) -> None:
        super().__init__(uow)
        self._source_id, self._target_id = source_id, target_id
        self._ids = {"source_id": source_id, "target_id": target_id}

    _LOAD_MEMBERS = select(Clinician).where(_MEMBERS).order_by(Clinician.created_time, Clinician.id)

    def load_members(self, ids: Sequence[str]) -> Sequence[Clinician]:
        """The clinicians of the target with these ids, which are to be removed."""
        these = {"of_clinic": self._target_id, "ids": list(ids)}
        return self._uow.session.scalars(self._LOAD_MEMBERS, these).all()

    _CANCEL_INVITES = (
        update(Invite)
        .where(
            Invite.clinic_id == bindparam("of_clinic"),
            Invite.status == InviteStatus.PENDING,
            among(Invite.key, "keys"),
        )
        .values(status=InviteStatus.CANCELED, modified=_NOW)
    )

    def cancel_invites(self, keys: Sequence[str]) -> None:
        """Cancel the target's pending invitations with these keys."""
        values = {"of_clinic": self._target_id, "keys": list(keys), "now": self._uow.now}
        self._uow.change(self._CANCEL_INVITES, values)

    _REMOVE_ADDRESSES = update(Clinician).where(_MEMBERS).values(email=null())

    def remove_addresses(self, ids: Sequence[str]) -> None:
        """Clear the addresses of these members of the source."""
        self._uow.change(self._REMOVE_ADDRESSES, {"of_clinic": self._source_id, "ids": list(ids)})

    _COPY_MEMBERS = copying(table_of(Clinician), among(Clinician.id, "ids"), updated_time=_NOW)
    _COPY_HISTORIES = copying(table_of(ClinicianRoleUpdate), among(ClinicianRoleUpdate.clinician_id, "ids"))
    _REMOVE_MEMBERS = delete(Clinician).where(_MEMBERS)

    def move_members(self, ids: Sequence[str], user_ids: Sequence[str]) -> None:
        """Move members of the source, who are these users, with the histories of their roles."""
        these: dict[str, Any] = {**self._ids, "ids": list(ids)}
        self._uow.insert(self._COPY_MEMBERS, these | {"now": self._uow.now})
        self._uow.insert(self._COPY_HISTORIES, these)
        self._uow.change(self._REMOVE_MEMBERS, {"of_clinic": self._source_id, "ids": list(ids)})
        clinics = ClinicsOfUsers(self._uow)
        clinics.add_clinicians((user_id, self._target_id) for user_id in user_ids)
        clinics.remove_clinicians((user_id, self._source_id) for user_id in user_ids)

    _MOVE_SHARE_CODES = (
        update(ShareCode)
        .where(ShareCode.clinic_id == bindparam("source_id"))
        .values(clinic_id=_TARGET, canonical=False)
    )

    def move_share_codes(self) -> None:
        """Assign the share codes of the source to the target. The target still shows its own share code."""
        self._uow.change(self._MOVE_SHARE_CODES, self._ids)

    # An expired offer blocks a new one until it is closed.
    _CLOSE_EXPIRED = (
        update(Invite)
        .where(Invite.clinic_id == _TARGET, _PENDING_OFFER, Invite.expires_at <= _NOW)
        .values(status=InviteStatus.CANCELED, modified=_NOW)
    )
    _MOVE_OFFERS = (
        update(Invite)
        .where(
            Invite.clinic_id == bindparam("source_id"),
            _PENDING_OFFER,
            or_(Invite.expires_at.is_(None), Invite.expires_at > _NOW),
            not_(_IS_OFFERED),
        )
        .values(clinic_id=_TARGET, modified=_NOW)
    )

    def move_offers(self) -> None:
        """Move the pending offers of patients to the target, except those that the target already has."""
        now = {"now": self._uow.now}
        self._uow.change(self._CLOSE_EXPIRED, {"target_id": self._target_id, **now})
        self._uow.change(self._MOVE_OFFERS, self._ids | now)

    _OPEN_MIGRATIONS = (
        select(Migration.user_id)
        .where(Migration.clinic_id == bindparam("source_id"), Migration.status != MigrationStatus.COMPLETED)
        .order_by(Migration.created_time, Migration.user_id)
    )
    _MOVE_MIGRATIONS = update(Migration).where(Migration.clinic_id == bindparam("source_id")).values(clinic_id=_TARGET)

    def move_migrations(self) -> list[str]:
        """Move the migrations of the source to the target. Returns the user ids of those that are not completed."""
        users = [row.user_id for row in self._uow.rows(self._OPEN_MIGRATIONS, {"source_id": self._source_id})]
        self._uow.change(self._MOVE_MIGRATIONS, self._ids)
        return users

    _COPY_MAIL_REQUESTS = copying(table_of(MailRequest))
    # Only reservations of accounts are copied. A reserved place for a new patient is useless in another clinic.
    _COPY_RESERVATIONS = copying(
        table_of(Reservation), Reservation.user_id.is_not(None), Reservation.expires_time > _NOW
    )

    def move_counts(self) -> None:
        """Copy the mail requests, which count towards mail limits, and the reservations of accounts to the target."""
        self._uow.insert(self._COPY_MAIL_REQUESTS, self._ids)
        self._uow.insert(self._COPY_RESERVATIONS, {**self._ids, "now": self._uow.now})

    # A target that receives the data of real users must not be treated as a demo clinic any more.
    _IS_DEMO = select(DemoClinic.clinic_id).where(DemoClinic.clinic_id == bindparam("clinic_id"))
    _UNMARK_DEMO = delete(DemoClinic).where(DemoClinic.clinic_id == bindparam("of_clinic"))

    def unmark_demo(self) -> None:
        """Remove the mark of a demo clinic from the target, unless the source is a demo clinic as well."""
        if self._uow.first(self._IS_DEMO, {"clinic_id": self._source_id}) is None:
            self._uow.change(self._UNMARK_DEMO, {"of_clinic": self._target_id})
