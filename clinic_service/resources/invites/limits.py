"""The limits of pending invitations."""

from __future__ import annotations

from clinic_service.config import Config
from clinic_service.models import InviteType
from clinic_service.resources.invites.errors import InviteLimitReached
from clinic_service.unit_of_work import UnitOfWork


def require_room(uow: UnitOfWork, clinic_id: str, kind: InviteType, creator_id: str | None, config: Config) -> None:
    """Raise InviteLimitReached when the clinic, or the person who invites, has the maximum number of pending invitations.

    Offers of patients count only for the patient: otherwise strangers could use up the limit of a clinic.
    """
    pending = uow.invites.count_pending(clinic_id, kind, creator_id)
    clinic_is_full = kind is InviteType.CLINICIAN and pending.of_clinic >= config.max_pending_invites_per_clinic
    if clinic_is_full or pending.of_creator >= config.max_pending_invites_per_person:
        raise InviteLimitReached.at("/path/clinicId" if kind is InviteType.CLINICIAN else "/path/userId")
