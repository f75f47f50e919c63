"""Everything that is shown of an invitation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.gateways.accounts import Accounts, Profile
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.resources.invites.restrictions import Verdict

Profiles = Mapping[str, Profile]


@dataclass(frozen=True, slots=True)
class InviteDescription:
    """An invitation, as a row or an entity, who made it, for which clinic, and whether it can be accepted.

    The columns of the row are attributes as well.
    """

    row: Any
    creator: Profile
    clinic_name: str | None = None
    verdict: Verdict | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)


def creator_profiles(accounts: Accounts, creator_ids: Iterable[str]) -> Profiles:
    """The profiles of those who made invitations, by id; services have none."""
    return accounts.find_profiles({creator_id for creator_id in creator_ids if is_user_id(creator_id)})


def profile_of(profiles: Profiles, creator_id: str) -> Profile:
    """The profile of a creator, an empty one when it is not known."""
    return profiles.get(creator_id, Profile())
