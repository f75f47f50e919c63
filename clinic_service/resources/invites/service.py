"""Invitations of clinics to clinicians.

A pending clinician and its invitation have the same key, and are created and removed together. A pending clinician that
a service stored with a key of its own has no invitation until it is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clinic_service.gateways.accounts import Accounts, Profile
from clinic_service.models import Clinic, Clinician, Invite, InviteStatus, InviteType, MailPurpose
from clinic_service.outbox.events import LOG_IN_PATH, SIGN_UP_PATH, ClinicianInvited
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.resources.clinicians.listing import ClinicianRow
from clinic_service.resources.invites.descriptions import InviteDescription, InviteRow, Profiles, describe, profile_of
from clinic_service.resources.invites.errors import (
    AlreadyMember,
    InvitedClinicianNotFound,
    InviteNotFound,
    NotAdmitted,
)
from clinic_service.resources.invites.limits import require_room
from clinic_service.resources.invites.restrictions import judge
from clinic_service.unit_of_work import UnitOfWork

_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Sending:
    """What is needed to send an invitation: the user with the invited address, if any, the creator, and the caller."""

    user_id: str | None
    creator: Profile
    caller_id: str
    sender: MailSender


@dataclass(frozen=True, slots=True)
class Invitee:
    """A person in the directory: the user id, the address they sign in with, and all addresses in lower case."""

    user_id: str
    email: str = ""
    emails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A person who accepts, the name in their profile, and the clinic that invited them."""

    invitee: Invitee
    clinic_id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Dismissal:
    """A person who declines an invitation, and the clinic that invited them."""

    invitee: Invitee
    clinic_id: str


def look_up_invitee(accounts: Accounts, user_id: str) -> Invitee:
    """Look up the person. A user without an account has no addresses, so only invitations to the user id match."""
    account = accounts.find_account(user_id)
    if account is None:
        return Invitee(user_id)
    emails = dict.fromkeys(email.lower() for email in (account.username, *account.emails) if email)
    return Invitee(user_id, account.username, tuple(emails))


def invite(uow: UnitOfWork, clinic_id: str, email: str, roles: Iterable[str], sending: Sending) -> ClinicianRow:
    """Invite the person with this address. The clinician is pending until the person accepts.

    Raises ClinicNotFound, ClinicNotMigrated, AlreadyMember, InviteLimitReached, DuplicateClinician and
    MailLimitReached.
    """
    clinic = uow.clinics.lock_migrated(clinic_id)
    if sending.user_id is not None:
        _refuse_member(uow, clinic_id, sending.user_id, "/body/email")
    require_room(uow, clinic_id, InviteType.CLINICIAN, sending.sender.person_id, sending.sender.config)
    clinician = uow.clinicians.add(clinic_id, email=email, roles=roles)
    made = uow.invites.add(
        clinic_id,
        InviteType.CLINICIAN,
        key=clinician.invite_id,
        email=email,
        creator_id=sending.caller_id,
        user_id=sending.user_id,
    )
    _send(uow, clinic, made, sending)
    return clinician


def resend(uow: UnitOfWork, clinic_id: str, key: str, sending: Sending) -> InviteDescription:
    """Send the mail of a pending invitation again. A missing invitation is created, with the caller as its creator.

    Raises ClinicNotFound, InviteNotFound and MailLimitReached. InviteNotFound is also raised for a pending clinician whose
    key does not have the length of an invitation's key.
    """
    clinic = uow.clinics.lock(clinic_id)
    clinician = uow.clinicians.find_invited_row(clinic_id, key)
    if clinician is None or len(key) != _KEY_LENGTH:
        raise InviteNotFound
    found = uow.invites.find(clinic_id, key)
    if found is None:
        found = uow.invites.add(
            clinic_id, InviteType.CLINICIAN, key=key, email=clinician.email or "", creator_id=sending.caller_id
        )
    if found.status is not InviteStatus.PENDING:
        raise InviteNotFound
    found.user_id = found.user_id or sending.user_id
    found.modified = max(found.modified, uow.now)
    _send(uow, clinic, found, sending)
    return describe(InviteRow.of(found, clinic.name), sending.creator)


def cancel(uow: UnitOfWork, clinic_id: str, key: str) -> None:
    """Cancel a pending invitation. Raises ClinicNotFound, and InviteNotFound when there is no pending one."""
    uow.clinics.lock(clinic_id)
    removed = uow.clinicians.remove_invited((clinic_id, key))
    canceled = uow.invites.end(clinic_id, key, InviteStatus.CANCELED)
    if not removed and not canceled:
        raise InviteNotFound


def remove_invited(uow: UnitOfWork, clinic_id: str, key: str) -> None:
    """Remove a pending clinician and, if there is one, the invitation.

    Raises ClinicNotFound, ClinicNotMigrated and InvitedClinicianNotFound.
    """
    uow.clinics.lock_migrated(clinic_id)
    if not uow.clinicians.remove_invited((clinic_id, key)):
        raise InvitedClinicianNotFound
    uow.invites.end(clinic_id, key, InviteStatus.CANCELED)


def associate(uow: UnitOfWork, clinic_id: str, key: str, user_id: str, name: str | None) -> Clinician:
    """Turn a pending clinician into a member with the account of the user.

    Raises ClinicNotFound, ClinicNotMigrated, InvitedClinicianNotFound and AlreadyMember.
    """
    uow.clinics.lock_migrated(clinic_id)
    clinician = uow.clinicians.find_invited(clinic_id, key)
    if clinician is None:
        raise InvitedClinicianNotFound
    _refuse_member(uow, clinic_id, user_id, "/body/userId")
    return _admit(uow, clinician, key, user_id, name)


def link_and_list(
    uow: UnitOfWork, invitee: Invitee, identity_provider: str | None, profiles: Profiles
) -> Sequence[InviteDescription]:
    """Assign the pending invitations to the person's addresses to the person, and list all of the person's, newest first.

    Each one says whether it can be accepted in a session of this identity provider.
    """
    rows = uow.invites.list_addressed(invitee.user_id, invitee.emails)
    # Not always, because on a cluster every write to this table needs all machines.
    if any(row.user_id is None for row in rows):
        uow.invites.link(invitee.user_id, invitee.emails)
    restrictions = uow.invites.restrictions({row.clinic_id for row in rows})
    return [
        describe(
            row,
            profile_of(profiles, row.creator_id),
            judge(restrictions.get(row.clinic_id, ()), invitee.email, identity_provider),
        )
        for row in rows
    ]


def accept(uow: UnitOfWork, key: str, acceptance: Acceptance, identity_provider: str | None) -> Clinician:
    """Make the person a member of the clinic that invited them.

    Raises InviteNotFound, NotAdmitted, ClinicNotMigrated and AlreadyMember, in this order.
    """
    clinic_id, invitee = acceptance.clinic_id, acceptance.invitee
    _lock_addressed(uow, clinic_id, key, invitee)
    restrictions = uow.invites.restrictions([clinic_id]).get(clinic_id, ())
    if not judge(restrictions, invitee.email, identity_provider).can_accept:
        raise NotAdmitted
    uow.clinics.require_migrated(clinic_id, named_by="/path/inviteId")
    _refuse_member(uow, clinic_id, invitee.user_id, "/path/userId")
    clinician = uow.clinicians.find_invited(clinic_id, key)
    if clinician is None:
        raise InviteNotFound
    return _admit(uow, clinician, key, invitee.user_id, acceptance.name)


def dismiss(uow: UnitOfWork, clinic_id: str, key: str, invitee: Invitee) -> None:
    """Decline an invitation. The clinic may invite the address again immediately. Raises InviteNotFound."""
    _lock_addressed(uow, clinic_id, key, invitee)
    uow.clinicians.remove_invited((clinic_id, key))
    uow.invites.end(clinic_id, key, InviteStatus.DECLINED)


def get_clinic_inviting(uow: UnitOfWork, key: str, invitee: Invitee) -> str:
    """The clinic of a pending invitation that is addressed to the person. Raises InviteNotFound."""
    clinic_id: str | None = uow.invites.find_clinic_inviting(key, invitee.user_id, invitee.emails)
    if clinic_id is None:
        raise InviteNotFound
    return clinic_id


def _lock_addressed(uow: UnitOfWork, clinic_id: str, key: str, invitee: Invitee) -> None:
    """Lock the clinic, and check that the invitation to the person is still pending."""
    uow.clinics.lock(clinic_id)
    if get_clinic_inviting(uow, key, invitee) != clinic_id:
        raise InviteNotFound


def _refuse_member(uow: UnitOfWork, clinic_id: str, user_id: str, named_by: str) -> None:
    """Raise AlreadyMember if the user is a member; `named_by` points to the part of the request that names the user."""
    if uow.clinicians.find_row(clinic_id, user_id) is not None:
        raise AlreadyMember.at(named_by)


def _admit(uow: UnitOfWork, clinician: Clinician, key: str, user_id: str, name: str | None) -> Clinician:
    uow.clinicians.admit(clinician, user_id, name)
    uow.invites.complete(clinician.clinic_id, key, user_id)
    return clinician


def _send(uow: UnitOfWork, clinic: Clinic, sent: Invite, sending: Sending) -> None:
    uow.mail_limits.count(clinic.id, MailPurpose.INVITATION, sending.sender)
    clinic_name = clinic.name or ""
    uow.outbox.add(
        ClinicianInvited(
            clinic_id=clinic.id,
            clinic_name=clinic_name,
            # A service has no name that can be shown.
            creator_name=sending.creator.full_name or clinic_name,
            email=sent.email or "",
            web_path=LOG_IN_PATH if sent.user_id else SIGN_UP_PATH,
        )
    )
