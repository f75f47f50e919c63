"""The data of an invitation that the API shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from clinic_service.db.types import AnyTime
from clinic_service.gateways.accounts import Accounts, Profile
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.models import Invite, InviteStatus, InviteType
from clinic_service.resources.invites.restrictions import Verdict

Profiles = Mapping[str, Profile]


class InviteRow(NamedTuple):
    """The columns of an invitation that the API shows, and the name of the clinic if it is known."""

    key: str
    type: InviteType
    status: InviteStatus
    email: str | None
    user_id: str | None
    clinic_id: str
    creator_id: str
    context: dict[str, Any] | None
    created: AnyTime
    modified: AnyTime
    expires_at: AnyTime | None
    clinic_name: str | None

    @classmethod
    def of(cls, invite: Invite, clinic_name: str | None = None) -> InviteRow:
        """The row of a model."""
        return cls._make((*_columns_of(invite), clinic_name))


_columns_of = attrgetter(*InviteRow._fields[:-1])


class InviteDescription(InviteRow):
    """An invitation, its creator, and whether it can be accepted; `verdict` is None where that is not shown."""

    creator: Profile
    verdict: Verdict | None


def describe(invite: InviteRow, creator: Profile, verdict: Verdict | None = None) -> InviteDescription:
    """The description of the invitation."""
    description = InviteDescription._make(invite)
    description.creator, description.verdict = creator, verdict
    return description


def creator_profiles(accounts: Accounts, creator_ids: Iterable[str]) -> Profiles:
    """The profiles of the creators of invitations, by id. Services have no profile."""
    return accounts.find_profiles({creator_id for creator_id in creator_ids if is_user_id(creator_id)})


def profile_of(profiles: Profiles, creator_id: str) -> Profile:
    """The profile of a creator; an empty profile when it is not known."""
    return profiles.get(creator_id, Profile())
