"""Changes in all clinics when an account changes or is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from clinic_service.models import InviteStatus
from clinic_service.outbox.events import PatientChanged
from clinic_service.resources.patients.connections import repeat_requests
from clinic_service.unit_of_work import UnitOfWork


def remove_from_clinics(uow: UnitOfWork, user_id: str, emails: Sequence[str]) -> None:
    """Remove every row about a user; an unknown user is no error. `emails` are the addresses of the account.

    A clinic may lose its last admin here. Then the patients who manage their own accounts leave the clinic too, because
    no admin is left to use the access that they gave. Patients whose accounts the clinic created stay.
    """
    clinic_ids = frozenset(uow.users.lock_clinics(user_id, emails))
    orphaned = uow.clinicians.only_admin_of(user_id, clinic_ids)
    uow.patients.remove([p for p in uow.patients.all_of_user(user_id) if p.clinic_id in clinic_ids], None)
    uow.clinicians.remove([c for c in uow.clinicians.all_of_user(user_id) if c.clinic_id in clinic_ids], None)
    if orphaned:
        uow.patients.remove(uow.users.patients_with_own_accounts(orphaned), None)
    uow.clinicians.remove_invited(*uow.users.list_addressed(user_id, emails))
    uow.users.remove_invites(user_id, emails)
    uow.grants.remove_all_of(user_id)


def change_email(uow: UnitOfWork, user_id: str, email: str) -> None:
    """Store the account's new address, in lower case, in all rows of the user and in the invitations to the user.

    An invitation and its pending clinician always have the same address.

    Raises EmailTaken when another clinician or invitation of one of the clinics has the address.
    """
    uow.users.lock_clinics(user_id)
    _change_clinicians_email(uow, user_id, email.lower())
    _change_patients_email(uow, user_id, email.lower())


def _change_clinicians_email(uow: UnitOfWork, user_id: str, email: str) -> None:
    invites = uow.users.invites_of(user_id)
    # An address is unique in a clinic, so only the oldest pending invitation of each clinic can get it.
    oldest: dict[str, str] = {}
    for one in invites:
        if one.status is InviteStatus.PENDING:
            oldest.setdefault(one.clinic_id, one.key)
    uow.clinicians.set_email(user_id, email, oldest)
    if not invites:
        return
    pending = uow.clinicians.pending_emails({one.clinic_id for one in invites}, [one.key for one in invites])
    emails = {one.key: pending.get(one.key) or email for one in invites}
    uow.users.set_invited_emails({one.key: emails[one.key] for one in invites if one.email != emails[one.key]})


def _change_patients_email(uow: UnitOfWork, user_id: str, email: str) -> None:
    changed = [patient for patient in uow.patients.all_of_user(user_id) if patient.email != email]
    for patient in changed:
        patient.email = email
        uow.patients.touch(patient)
    uow.patients.flush()
    uow.outbox.add(*(PatientChanged(p.clinic_id, p.user_id, ("email",), p.is_custodial) for p in changed))
    repeat_requests(uow, changed)
