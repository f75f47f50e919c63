"""Offers: invitations in which patients offer a clinic access to their data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clinic_service.auth.caller import Caller
from clinic_service.gateways.accounts import Accounts, Profile, UserRecord, get_user
from clinic_service.models import Clinic, Invite, InviteStatus, InviteType, MailPurpose, Permission
from clinic_service.outbox.events import LOG_IN_PATH, AccessOffered
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.preparation import PreparationOutdated
from clinic_service.resources.invites.descriptions import InviteDescription, InviteRow, describe
from clinic_service.resources.invites.errors import AlreadyPatient, InviteNotFound, InviteNotPending
from clinic_service.resources.invites.limits import require_room
from clinic_service.resources.invites.repository import InviteTerms
from clinic_service.resources.patients.enrolment import Enrolment, enrol
from clinic_service.unit_of_work import UnitOfWork

# A clinic becomes custodian only by creating an account, so a patient cannot offer this permission.
OFFERED = (Permission.VIEW, Permission.UPLOAD, Permission.NOTE)
LIFETIME = timedelta(days=7)
_SUPPRESSED = "patientClinicInvitation"
_UNNAMED_PATIENT = "A patient"
_CLOSABLE = (InviteStatus.PENDING, InviteStatus.DECLINED)


@dataclass(frozen=True, slots=True)
class OfferAcceptance:
    """The clinic's data about the new patient, and the patient's user record.

    `patient` is None for a user who is already a patient of the clinic, because the directory is not asked then.
    """

    given: Mapping[str, Any]
    patient: UserRecord | None = None


def look_up_user(uow: UnitOfWork, accounts: Accounts, share_code: str, user_id: str) -> UserRecord:
    """Look up the user who offers access.

    Raises ClinicNotFound when no clinic has the share code, then AccountNotFound.
    """
    uow.clinics.get_id_by_share_code(share_code)
    return get_user(accounts, user_id)


def look_up_acceptance(
    uow: UnitOfWork, accounts: Accounts, clinic_id: str, key: str, given: Mapping[str, Any]
) -> OfferAcceptance:
    """Look up the user who made the offer. Raises InviteNotFound, InviteNotPending and AccountNotFound."""
    terms = uow.invites.find_terms(clinic_id, key)
    creator_id = _answerable(terms, uow.now)
    if uow.patients.is_patient(clinic_id, creator_id):
        return OfferAcceptance(given)
    return OfferAcceptance(given, get_user(accounts, creator_id))


def offer_access(
    uow: UnitOfWork, share_code: str, permissions: Iterable[str], user: UserRecord, sender: MailSender
) -> InviteDescription:
    """Offer access to the clinic with this share code. The offer is valid for a week; the clinic's admins get a mail.

    Raises ClinicNotFound, AlreadyPatient, InviteLimitReached, DuplicateOffer and MailLimitReached.
    """
    clinic = uow.clinics.lock(uow.clinics.get_id_by_share_code(share_code))
    user_id = user.account.user_id
    if uow.patients.is_patient(clinic.id, user_id):
        raise AlreadyPatient
    uow.invites.close_expired_offers(clinic.id, user_id)
    require_room(uow, clinic.id, InviteType.PATIENT, user_id, sender.config)
    invite = uow.invites.add(
        clinic.id,
        InviteType.PATIENT,
        email=user.account.username,
        creator_id=user_id,
        context=_limited(permissions),
        expires_at=uow.now + LIFETIME,
    )
    if not (clinic.suppressed_notifications or {}).get(_SUPPRESSED):
        uow.mail_limits.count(clinic.id, MailPurpose.OFFER, sender)
        _tell_admins(uow, clinic, invite.creator_id, _patient_name(user.profile))
    return describe(InviteRow.of(invite), user.profile)


def accept(uow: UnitOfWork, clinic_id: str, key: str, acceptance: OfferAcceptance) -> str:
    """Make the user who made the offer a patient, unless they already are one. Returns their user id.

    Raises ClinicNotFound, InviteNotFound, InviteNotPending, MrnRequired, DuplicateMrn, UnknownSite and
    PreparationOutdated.
    """
    clinic = uow.clinics.lock(clinic_id)
    invite = uow.invites.find(clinic_id, key)
    creator_id = _answerable(invite, uow.now)
    # A user who is already a patient, even with a custodial account, keeps the existing record.
    if not uow.patients.is_patient(clinic_id, creator_id):
        offered = (invite.context if invite else None) or {}
        _enrol(uow, clinic, acceptance, _limited(offered))
    uow.invites.complete_offer(clinic_id, key)
    return creator_id


def close(uow: UnitOfWork, clinic_id: str, key: str, profile: Profile, caller: Caller) -> InviteDescription:
    """Cancel the offer when the caller made it; otherwise decline it.

    Raises ClinicNotFound, InviteNotFound and InviteNotPending.
    """
    uow.clinics.lock(clinic_id)
    invite = uow.invites.find(clinic_id, key)
    if invite is None:
        raise InviteNotFound
    if invite.type is not InviteType.PATIENT or invite.status not in _CLOSABLE:
        raise InviteNotPending
    end = InviteStatus.CANCELED if caller.person_id == invite.creator_id else InviteStatus.DECLINED
    if invite.status is not end:
        invite.status = end
        invite.modified = max(invite.modified, uow.now)
    return describe(InviteRow.of(invite), profile)


def _patient_name(profile: Profile) -> str:
    """The name of the patient, who is not always the owner of the account."""
    return profile.patient_full_name or profile.full_name or _UNNAMED_PATIENT


def _answerable(invite: Invite | InviteTerms | None, now: datetime) -> str:
    """The creator of a pending offer. Raises InviteNotFound and InviteNotPending.

    An expired offer is treated like one that does not exist.
    """
    if invite is None:
        raise InviteNotFound
    if invite.status is not InviteStatus.PENDING or invite.type is not InviteType.PATIENT:
        raise InviteNotPending
    if invite.expires_at is not None and invite.expires_at <= now:
        raise InviteNotFound
    return invite.creator_id


def _limited(permissions: Iterable[str]) -> dict[str, Any]:
    given = frozenset(permissions)
    return {permission.value: {} for permission in OFFERED if permission in given}


def _enrol(uow: UnitOfWork, clinic: Clinic, acceptance: OfferAcceptance, permissions: Iterable[str]) -> None:
    patient = acceptance.patient
    if patient is None:
        # The look-up found a record, which has been deleted since.
        raise PreparationOutdated
    given = {"permissions": tuple(permissions), **acceptance.given}
    enrol(uow, clinic, Enrolment(patient.account, patient.profile, **given), require_sites=True)


def _tell_admins(uow: UnitOfWork, clinic: Clinic, sharer_id: str, careteam_name: str) -> None:
    uow.outbox.add(
        *(
            AccessOffered(
                clinic_id=clinic.id,
                user_id=user_id,
                sharer_id=sharer_id,
                clinic_name=clinic.name or "",
                careteam_name=careteam_name,
                web_path=LOG_IN_PATH,
            )
            for user_id in uow.invites.ids_of_admins_with_address(clinic.id)
        )
    )
