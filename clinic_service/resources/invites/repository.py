"""The queries about invitations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, and_, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from clinic_service.db.dialects import among, constraint_name
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.db.types import UtcDateTime, wire_time
from clinic_service.models import Clinic, Clinician, Invite, InviteStatus, InviteType, MembershipRestriction
from clinic_service.models.invite import new_invite_key
from clinic_service.resources.invites.descriptions import InviteRow
from clinic_service.resources.invites.errors import DuplicateOffer
from clinic_service.resources.invites.restrictions import Restriction

_OPEN_OFFER = "ix_invites_open_offer"
_COLUMNS = (
    Invite.key,
    Invite.type,
    Invite.status,
    Invite.email,
    Invite.user_id,
    Invite.clinic_id,
    Invite.creator_id,
    Invite.context,
    wire_time(Invite.created),
    wire_time(Invite.modified),
    wire_time(Invite.expires_at),
)
_SHOWN = select(*_COLUMNS, Clinic.name.label("clinic_name")).join(Clinic, Clinic.id == Invite.clinic_id)
_NEWEST_FIRST = (Invite.created.desc(), Invite.key)

_OF_CLINIC = Invite.clinic_id == bindparam("clinic_id")
_THIS = and_(Invite.key == bindparam("key"), _OF_CLINIC)
_UNEXPIRED = or_(Invite.expires_at.is_(None), Invite.expires_at > bindparam("now", type_=UtcDateTime()))
_OPEN = and_(Invite.status == InviteStatus.PENDING, _UNEXPIRED)
_EMAILS: BindParameter[str] = bindparam("emails", expanding=True)
_UNLINKED = and_(Invite.user_id.is_(None), Invite.email.in_(_EMAILS))
_ADDRESSED = and_(Invite.type == InviteType.CLINICIAN, _OPEN, or_(Invite.user_id == bindparam("user_id"), _UNLINKED))


class InviteTerms(NamedTuple):
    """The columns that decide whether an invitation can be answered, and its creator."""

    type: InviteType
    status: InviteStatus
    creator_id: str
    expires_at: datetime | None


class PendingInvites(NamedTuple):
    """The numbers of pending invitations: of a clinic, and of one creator in all clinics."""

    of_clinic: int
    of_creator: int


class InviteRepository(Repository):
    """Invitations of both kinds. Methods that write need the lock of the clinic's row."""

    _FIND = select(Invite).where(_THIS).execution_options(populate_existing=True)

    def find(self, clinic_id: str, key: str) -> Invite | None:
        """The invitation of any kind and status, for changes."""
        return self._uow.session.scalars(self._FIND, {"clinic_id": clinic_id, "key": key}).one_or_none()

    _TERMS = Query(InviteTerms, select(Invite.type, Invite.status, Invite.creator_id, Invite.expires_at).where(_THIS))

    def find_terms(self, clinic_id: str, key: str) -> InviteTerms | None:
        """The terms of an invitation of any kind and status."""
        return self._uow.first(self._TERMS, {"clinic_id": clinic_id, "key": key})

    _PENDING_CLINICIAN = Query(
        InviteRow,
        _SHOWN.join(Clinician, and_(Clinician.clinic_id == Invite.clinic_id, Clinician.invite_id == Invite.key)).where(
            _THIS, Invite.type == InviteType.CLINICIAN, _OPEN
        ),
    )

    def find_pending_clinician(self, clinic_id: str, key: str) -> InviteRow | None:
        """The clinic's pending invitation of a clinician as the API shows it; None when there is none."""
        return self._uow.first(self._PENDING_CLINICIAN, {"clinic_id": clinic_id, "key": key, "now": self._uow.now})

    _CLINIC_OF_ADDRESSED = select(Invite.clinic_id).where(Invite.key == bindparam("key"), _ADDRESSED)

    def find_clinic_inviting(self, key: str, user_id: str, emails: Collection[str]) -> str | None:
        """The id of the clinic of a pending invitation to the user. `emails` are the user's addresses in lower case."""
        parameters = {"key": key, "user_id": user_id, "emails": list(emails), "now": self._uow.now}
        return self._uow.execute(self._CLINIC_OF_ADDRESSED, parameters).scalar_one_or_none()

    _ALL_ADDRESSED = select(*_COLUMNS).where(_ADDRESSED).order_by(*_NEWEST_FIRST)

    _CLINIC_NAMES = select(Clinic.id, Clinic.name).where(among(Clinic.id, "clinic_ids"))

    def list_addressed(self, user_id: str, emails: Collection[str]) -> Sequence[InviteRow]:
        """The user's pending invitations to join clinics as the API shows them, newest first."""
        parameters = {"user_id": user_id, "emails": list(emails), "now": self._uow.now}
        found = self._uow.execute(self._ALL_ADDRESSED, parameters).all()
        clinic_ids = list({row.clinic_id for row in found})
        names = dict(self._uow.rows(self._CLINIC_NAMES, {"clinic_ids": clinic_ids})) if found else {}
        return [InviteRow._make((*row, names[row.clinic_id])) for row in found if row.clinic_id in names]

    _OFFERS = Query(
        InviteRow, _SHOWN.where(_OF_CLINIC, Invite.type == InviteType.PATIENT, _OPEN).order_by(*_NEWEST_FIRST)
    )

    def list_offers(self, clinic_id: str) -> Sequence[InviteRow]:
        """The pending offers of patients to the clinic as the API shows them, newest first."""
        return self._uow.rows(self._OFFERS, {"clinic_id": clinic_id, "now": self._uow.now})

    _PENDING_OF_KIND = (Invite.type == bindparam("type"), _OPEN)
    _COUNT_PENDING = Query(
        PendingInvites,
        select(
            select(func.count())
            .select_from(Invite)
            .where(_OF_CLINIC, *_PENDING_OF_KIND)
            .scalar_subquery()
            .label("of_clinic"),
            select(func.count())
            .select_from(Invite)
            .where(Invite.creator_id == bindparam("creator_id"), *_PENDING_OF_KIND)
            .scalar_subquery()
            .label("of_creator"),
        ),
    )

    def count_pending(self, clinic_id: str, kind: InviteType, creator_id: str | None) -> PendingInvites:
        """The numbers of pending invitations of this kind."""
        parameters = {"clinic_id": clinic_id, "type": kind, "creator_id": creator_id, "now": self._uow.now}
        return self._uow.rows(self._COUNT_PENDING, parameters)[0]

    _RESTRICTIONS = (
        select(MembershipRestriction.clinic_id, MembershipRestriction.email_domain, MembershipRestriction.required_idp)
        .where(MembershipRestriction.clinic_id.in_(bindparam("clinic_ids", expanding=True)))
        .order_by(MembershipRestriction.clinic_id, MembershipRestriction.position)
    )

    def restrictions(self, clinic_ids: Collection[str]) -> Mapping[str, Sequence[Restriction]]:
        """The membership restrictions by clinic, in their order. The list of a clinic without restrictions is empty."""
        found: defaultdict[str, list[Restriction]] = defaultdict(list)
        for clinic_id, domain, idp in self._uow.execute(self._RESTRICTIONS, {"clinic_ids": sorted(clinic_ids)}):
            found[clinic_id].append(Restriction(domain, idp))
        return found

    _ADMINS = (
        select(Clinician.user_id)
        .where(Clinician.clinic_id == bindparam("clinic_id"), Clinician.counts_as_admin, Clinician.email.is_not(None))
        .order_by(Clinician.created_time, Clinician.id)
    )

    def ids_of_admins_with_address(self, clinic_id: str) -> Sequence[str]:
        """The user ids of the clinic's admins who have an address."""
        return [user_id for (user_id,) in self._uow.rows(self._ADMINS, {"clinic_id": clinic_id}) if user_id]

    _LINK = (
        update(Invite)
        .where(Invite.type == InviteType.CLINICIAN, Invite.status == InviteStatus.PENDING, _UNLINKED)
        .values(user_id=bindparam("of_user"))
    )

    def link(self, user_id: str, emails: Collection[str]) -> None:
        """Assign the pending invitations to one of `emails` that have no user yet to the user."""
        self._uow.execute(self._LINK, {"of_user": user_id, "emails": list(emails)})

    def add(
        self,
        clinic_id: str,
        kind: InviteType,
        *,
        email: str,
        creator_id: str,
        key: str | None = None,
        user_id: str | None = None,
        context: dict[str, Any] | None = None,
        expires_at: datetime | None = None,
    ) -> Invite:
        """Add a pending invitation, with a new key unless one is given.

        A missing address is stored as the empty text, others in lower case. Raises DuplicateOffer when the patient already
        has a pending offer to the clinic; the transaction cannot be used afterwards.
        """
        invite = Invite(
            key=key or new_invite_key(),
            type=kind,
            status=InviteStatus.PENDING,
            email=email.lower() or None,
            user_id=user_id,
            clinic_id=clinic_id,
            creator_id=creator_id,
            context=context,
            created=self._uow.creation_time,
            modified=self._uow.now,
            expires_at=expires_at,
        )
        self._uow.session.add(invite)
        try:
            self._uow.flush()
        except IntegrityError as error:
            if constraint_name(error) != _OPEN_OFFER:
                raise
            raise DuplicateOffer from error
        return invite

    _END = (
        update(Invite)
        .where(
            Invite.key == bindparam("of_key"),
            Invite.clinic_id == bindparam("of_clinic"),
            Invite.type == bindparam("of_type"),
            Invite.status == InviteStatus.PENDING,
        )
        .values(status=bindparam("end"), modified=bindparam("time"))
    )

    def end(self, clinic_id: str, key: str, status: InviteStatus) -> bool:
        """Set the final `status` of a pending invitation of a clinician. False when there is none."""
        values = self._ending(clinic_id, key, InviteType.CLINICIAN, status)
        return self._uow.change(self._END, values) == 1

    _COMPLETE = _END.values(user_id=bindparam("of_user"))

    def complete(self, clinic_id: str, key: str, user_id: str) -> None:
        """Record that the user accepted the invitation of a clinician. One that is not pending is not changed."""
        values = self._ending(clinic_id, key, InviteType.CLINICIAN, InviteStatus.COMPLETED)
        self._uow.change(self._COMPLETE, {**values, "of_user": user_id})

    def complete_offer(self, clinic_id: str, key: str) -> None:
        """Record that the clinic accepted the offer of a patient."""
        values = self._ending(clinic_id, key, InviteType.PATIENT, InviteStatus.COMPLETED)
        self._uow.change(self._END, values)

    def _ending(self, clinic_id: str, key: str, kind: InviteType, status: InviteStatus) -> dict[str, Any]:
        return {"of_clinic": clinic_id, "of_key": key, "of_type": kind, "end": status, "time": self._uow.now}

    _CLOSE_EXPIRED = (
        update(Invite)
        .where(
            Invite.clinic_id == bindparam("of_clinic"),
            Invite.creator_id == bindparam("of_creator"),
            Invite.type == InviteType.PATIENT,
            Invite.status == InviteStatus.PENDING,
            Invite.expires_at <= bindparam("time", type_=UtcDateTime()),
        )
        .values(status=InviteStatus.CANCELED, modified=bindparam("time"))
    )

    def close_expired_offers(self, clinic_id: str, creator_id: str) -> None:
        """Cancel the expired offers of the patient to the clinic."""
        values = {"of_clinic": clinic_id, "of_creator": creator_id, "time": self._uow.now}
        self._uow.change(self._CLOSE_EXPIRED, values)
