"""Facts: the data of two clinics that a merge needs. It is read beforehand, so the plan needs no database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from clinic_service.models import BgUnits, Role
from clinic_service.models.sort_keys import folded, name_key


class Settings(NamedTuple):
    """The settings that must be equal in both clinics. A setting that was never stored has its default."""

    mrn_required: bool
    mrn_unique: bool
    preferred_bg_units: BgUnits
    timezone: str | None


class RestrictionFacts(NamedTuple):
    """A condition on the e-mail address and, if given, the identity provider of new members."""

    email_domain: str
    required_idp: str | None


class TagFacts(NamedTuple):
    """A tag of one of the clinics."""

    id: str
    name: str


class SiteFacts(NamedTuple):
    """A site of one of the clinics."""

    id: str
    name: str


class MemberFacts(NamedTuple):
    """A member, a service account, or a pending invitation, which has no `user_id`.

    `invited_user_id` is the user to whom a pending invitation is addressed, if that is known.
    """

    id: str
    user_id: str | None
    email: str | None
    name: str | None
    roles: tuple[Role, ...]
    is_service_account: bool = False
    invited_user_id: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether this is an invitation that is not accepted yet."""
        return self.user_id is None

    @property
    def counts_as_admin(self) -> bool:
        """Whether this is an admin of the clinic: a person with the role, and no invitation or service account."""
        return Role.ADMIN in self.roles and not self.is_pending and not self.is_service_account


class PatientFacts(NamedTuple):
    """A patient of one of the clinics.

    `mrn_key` is the form in which medical record numbers are compared; names are sorted by `name_key`.
    """

    id: str
    user_id: str
    full_name: str | None = None
    birth_date: str | None = None
    mrn: str | None = None
    mrn_key: str | None = None
    name_key: bytes = b""
    is_custodial: bool = False
    tag_ids: tuple[str, ...] = ()
    site_ids: tuple[str, ...] = ()

    @property
    def compared_name(self) -> str | None:
        """The form in which names are compared; None for a blank name."""
        return folded(self.full_name or "").strip() or None

    @property
    def sought_name_keys(self) -> set[bytes]:
        """The values of `name_key` that patients with the same name can have, when no space surrounds the name.

        There can be several, because some small letters are not sorted like their capitals.
        """
        name = self.compared_name
        if name is None:
            return set()
        if name.isascii() and name == folded(self.full_name or ""):
            return {self.name_key}
        return {name_key(spelling) for spelling in (name, name.upper(), (self.full_name or "").strip())}


@dataclass(frozen=True, slots=True)
class ClinicFacts:
    """The data of a clinic that a merge needs, without its patients. Tags, sites and members are oldest first."""

    id: str
    name: str | None
    settings: Settings
    restrictions: tuple[RestrictionFacts, ...] = ()
    tags: tuple[TagFacts, ...] = ()
    sites: tuple[SiteFacts, ...] = ()
    members: tuple[MemberFacts, ...] = ()
