"""How many invitations may wait for an answer at a time."""

from __future__ import annotations

from clinic_service.config import Config
from clinic_service.models import InviteType
from clinic_service.resources.invites.errors import InviteLimitReached
from clinic_service.unit_of_work import UnitOfWork


def require_room(uow: UnitOfWork, clinic_id: str, kind: InviteType, creator_id: str | None, config: Config) -> None:
    """Raise InviteLimitReached when the clinic, or the person who invites, has no room for one more.

    Offers of patients are limited for each patient alone: strangers could fill the clinic's room with theirs.
    """
    pending = uow.invites.count_pending(clinic_id, kind, creator_id)
    clinic_is_full = kind is InviteType.CLINICIAN and pending.of_clinic >= config.max_pending_invites_per_clinic
    if clinic_is_full or pending.of_creator >= config.max_pending_invites_per_person:
        raise InviteLimitReached.at("/path/clinicId" if kind is InviteType.CLINICIAN else "/path/userId")
