"""The operations of `spec/clinic/paths/invites.yaml`."""

from __future__ import annotations

from typing import Any, NamedTuple

from clinic_service.context import Context
from clinic_service.gateways.accounts import AccountNotFound, Profile, UserRecord
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.resources.clinicians.schemas import clinician_schema
from clinic_service.resources.invites import offers, service
from clinic_service.resources.invites.descriptions import InviteRow, Profiles, creator_profiles, describe, profile_of
from clinic_service.resources.invites.errors import InvitedClinicianNotFound, InviteNotFound
from clinic_service.resources.invites.schemas import acceptance_schema, confirmation_schema
from clinic_service.resources.patients.schemas import patient_schema
from clinic_service.serialization import JsonObject
from clinic_service.unit_of_work import UnitOfWork


class _Known(NamedTuple):
    """A person, and the profiles of the users who invited them."""

    invitee: service.Invitee
    profiles: Profiles


def _look_up_invited(ctx: Preparation, clinic_id: str, body: dict[str, Any]) -> service.Sending:
    """Look up the user with the invited address, and the name of the caller."""
    ctx.uow.clinics.require_migrated(clinic_id)
    return _sending(ctx, body["email"], ctx.caller.id)


@with_preparation(_look_up_invited)
def invite_clinician(ctx: Context, sending: service.Sending, clinic_id: str, body: dict[str, Any]) -> JsonObject:
    """Invite a person to join a clinic."""
    clinician = service.invite(ctx.uow, clinic_id, body["email"], body["roles"], sending)
    return clinician_schema.dump(clinician)


def _look_up_creator(ctx: Preparation, clinic_id: str, invite_id: str) -> Profiles:
    """Look up the creator of the invitation."""
    return creator_profiles(ctx.accounts, [_pending(ctx.uow, clinic_id, invite_id).creator_id])


@with_preparation(_look_up_creator)
def get_clinician_invite(ctx: Context, profiles: Profiles, clinic_id: str, invite_id: str) -> JsonObject:
    """One pending invitation of a clinic."""
    row = _pending(ctx.uow, clinic_id, invite_id)
    return confirmation_schema.dump(describe(row, profile_of(profiles, row.creator_id)))


def _look_up_invited_again(ctx: Preparation, clinic_id: str, invite_id: str) -> service.Sending:
    """Look up the user who has the invited address now, and the creator of the invitation."""
    ctx.uow.clinics.require(clinic_id)
    clinician = ctx.uow.clinicians.find_invited_row(clinic_id, invite_id)
    if clinician is None:
        raise InviteNotFound
    terms = ctx.uow.invites.find_terms(clinic_id, invite_id)
    return _sending(ctx, clinician.email or "", terms.creator_id if terms else ctx.caller.id)


@with_preparation(_look_up_invited_again)
def resend_invite(ctx: Context, sending: service.Sending, clinic_id: str, invite_id: str) -> JsonObject:
    """Send the mail of an invitation again."""
    return confirmation_schema.dump(service.resend(ctx.uow, clinic_id, invite_id, sending))


def delete_invite(ctx: Context, clinic_id: str, invite_id: str) -> None:
    """Cancel an invitation."""
    service.cancel(ctx.uow, clinic_id, invite_id)


def get_invited_clinician(ctx: Context, clinic_id: str, invite_id: str) -> JsonObject:
    """The pending clinician of an invitation."""
    row = ctx.uow.clinicians.find_invited_row(clinic_id, invite_id)
    if row is None:
        raise InvitedClinicianNotFound
    return clinician_schema.dump(row)


def _look_up_member(ctx: Preparation, clinic_id: str, body: dict[str, str]) -> Profile:
    """Look up the user who is to become a member."""
    user_id = body["userId"]
    ctx.uow.clinics.require_migrated(clinic_id)
    if ctx.accounts.find_account(user_id) is None:
        raise AccountNotFound
    return ctx.accounts.find_profile(user_id)


@with_preparation(_look_up_member)
def associate_clinician_to_user(
    ctx: Context, profile: Profile, clinic_id: str, invite_id: str, body: dict[str, str]
) -> JsonObject:
    """Turn a pending clinician into a member with the account of a user."""
    clinician = service.associate(ctx.uow, clinic_id, invite_id, body["userId"], profile.full_name)
    return clinician_schema.dump(clinician)


def delete_invited_clinician(ctx: Context, clinic_id: str, invite_id: str) -> None:
    """Remove a pending clinician."""
    service.remove_invited(ctx.uow, clinic_id, invite_id)


def _look_up_invitee_and_creators(ctx: Preparation, user_id: str) -> _Known:
    """Look up the addresses of the user, and the profiles of the users who invited them."""
    invitee = service.look_up_invitee(ctx.accounts, user_id)
    rows = ctx.uow.invites.list_addressed(user_id, invitee.emails)
    return _Known(invitee, creator_profiles(ctx.accounts, (row.creator_id for row in rows)))


@with_preparation(_look_up_invitee_and_creators)
def list_clinician_invites(ctx: Context, known: _Known) -> list[JsonObject]:
    """The pending invitations of a person to join clinics."""
    provider = ctx.caller.identity_provider
    invites = service.link_and_list(ctx.uow, known.invitee, provider, known.profiles)
    return confirmation_schema.dump(invites, many=True)


def _look_up_accepting(ctx: Preparation, user_id: str, invite_id: str) -> service.Acceptance:
    """Look up the addresses and the name of the user, and the clinic."""
    invitee = service.look_up_invitee(ctx.accounts, user_id)
    clinic_id = service.get_clinic_inviting(ctx.uow, invite_id, invitee)
    profile = ctx.accounts.find_profile(user_id)
    return service.Acceptance(invitee, clinic_id, profile.full_name)


@with_preparation(_look_up_accepting)
def accept_clinician_invite(ctx: Context, acceptance: service.Acceptance, invite_id: str) -> JsonObject:
    """Join the clinic that sent an invitation."""
    return clinician_schema.dump(service.accept(ctx.uow, invite_id, acceptance, ctx.caller.identity_provider))


def _look_up_dismissing(ctx: Preparation, user_id: str, invite_id: str) -> service.Dismissal:
    """Look up the addresses of the user, and the clinic."""
    invitee = service.look_up_invitee(ctx.accounts, user_id)
    return service.Dismissal(invitee, service.get_clinic_inviting(ctx.uow, invite_id, invitee))


@with_preparation(_look_up_dismissing)
def dismiss_clinician_invite(ctx: Context, dismissal: service.Dismissal, invite_id: str) -> None:
    """Decline an invitation."""
    service.dismiss(ctx.uow, dismissal.clinic_id, invite_id, dismissal.invitee)


def _look_up_offering_patients(ctx: Preparation, clinic_id: str) -> Profiles:
    """Look up the patients with pending offers."""
    rows = ctx.uow.invites.list_offers(clinic_id)
    return creator_profiles(ctx.accounts, (row.creator_id for row in rows))


@with_preparation(_look_up_offering_patients)
def get_patient_invites(ctx: Context, profiles: Profiles, clinic_id: str) -> list[JsonObject]:
    """The pending offers of patients to the clinic."""
    rows = ctx.uow.invites.list_offers(clinic_id)
    invites = [describe(row, profile_of(profiles, row.creator_id)) for row in rows]
    return confirmation_schema.dump(invites, many=True)


def _look_up_new_patient(
    ctx: Preparation, clinic_id: str, invite_id: str, body: dict[str, Any] | None
) -> offers.OfferAcceptance:
    """Look up the account and the profile of the patient who made the offer."""
    given = acceptance_schema.load(body or {})
    return offers.look_up_acceptance(ctx.uow, ctx.accounts, clinic_id, invite_id, given)


@with_preparation(_look_up_new_patient)
def accept_patient_invitation(
    ctx: Context, acceptance: offers.OfferAcceptance, clinic_id: str, invite_id: str
) -> JsonObject:
    """Accept the offer of a patient."""
    patient_id = offers.accept(ctx.uow, clinic_id, invite_id, acceptance)
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, patient_id))


def _look_up_offering_patient(ctx: Preparation, clinic_id: str, invite_id: str) -> Profile:
    """Look up the patient who made the offer."""
    terms = ctx.uow.invites.find_terms(clinic_id, invite_id)
    if terms is None:
        raise InviteNotFound
    return profile_of(creator_profiles(ctx.accounts, [terms.creator_id]), terms.creator_id)


@with_preparation(_look_up_offering_patient)
def delete_patient_invite(ctx: Context, profile: Profile, clinic_id: str, invite_id: str) -> JsonObject:
    """Withdraw the offer of a patient, or decline it."""
    return confirmation_schema.dump(offers.close(ctx.uow, clinic_id, invite_id, profile, ctx.caller))


def _look_up_patient(ctx: Preparation, user_id: str, body: dict[str, Any]) -> UserRecord:
    """Look up the account and the profile of the patient."""
    return offers.look_up_user(ctx.uow, ctx.accounts, body["shareCode"], user_id)


@with_preparation(_look_up_patient)
def invite_clinic(ctx: Context, patient: UserRecord, body: dict[str, Any]) -> JsonObject:
    """Offer a clinic access to a patient's data."""
    offer = offers.offer_access(ctx.uow, body["shareCode"], body["permissions"], patient, ctx.mail_sender)
    return confirmation_schema.dump(offer)


def _pending(uow: UnitOfWork, clinic_id: str, invite_id: str) -> InviteRow:
    row = uow.invites.find_pending_clinician(clinic_id, invite_id)
    if row is None:
        raise InviteNotFound
    return row


def _sending(ctx: Preparation, email: str, creator_id: str) -> service.Sending:
    accounts = ctx.accounts
    account = accounts.find_by_email(email)
    profiles = creator_profiles(accounts, [creator_id])
    user_id = account.user_id if account else None
    return service.Sending(user_id, profile_of(profiles, creator_id), ctx.caller.id, ctx.mail_sender)
