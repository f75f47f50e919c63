"""Plan: what merging one clinic into another would do, except for their patients (see `patient_plans`).

The plan is a pure function of the facts of both clinics. It names each action, and the reasons that rule the merge out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from clinic_service.models import Role, Site, Tag
from clinic_service.models.sort_keys import folded
from clinic_service.resources.merges.facts import (
    ClinicFacts,
    MemberFacts,
    RestrictionFacts,
    Settings,
    SiteFacts,
    TagFacts,
)


class Workspace(StrEnum):
    """One of the two clinics of a merge."""

    SOURCE = "source"
    TARGET = "target"


class BlockCode(StrEnum):
    """Why a merge is ruled out."""

    SETTINGS_MISMATCH = "SETTINGS_MISMATCH"
    RESTRICTED_TARGET_MEMBERS = "RESTRICTED_TARGET_MEMBERS"
    PENDING_INVITES = "PENDING_INVITES"
    MRN_REQUIRED = "MRN_REQUIRED"
    DUPLICATE_MRN_TARGET = "DUPLICATE_MRN_TARGET"
    DUPLICATE_MRN_SOURCE = "DUPLICATE_MRN_SOURCE"
    TOO_MANY_TAGS = "TOO_MANY_TAGS"


class Block(NamedTuple):
    """A reason that rules the merge out, as a code and in words."""

    code: BlockCode
    message: str


class TagAction(StrEnum):
    """What happens to a tag: `SKIP` means that the target has a tag of this name, so it is not created."""

    CREATE = "CREATE"
    SKIP = "SKIP"
    RETAIN = "RETAIN"


class SiteAction(StrEnum):
    """What happens to a site."""

    MOVE = "MOVE"
    RENAME = "RENAME"
    RETAIN = "RETAIN"


class Action(StrEnum):
    """What happens to a member or a patient. `CANCEL`: an invitation of the target is canceled as not needed."""

    MOVE = "MOVE"
    MERGE = "MERGE"
    RETAIN = "RETAIN"
    MERGE_INTO = "MERGE_INTO"
    CANCEL = "CANCEL"


class SettingPlan(NamedTuple):
    """The values of a setting in both clinics."""

    name: str
    source_value: str | None
    target_value: str | None

    @property
    def match(self) -> bool:
        """Whether the setting is equal in both clinics."""
        return self.source_value == self.target_value


class TagPlan(NamedTuple):
    """What happens to a tag of the clinic `workspace`. `merge`: both clinics have a tag with this name."""

    tag: TagFacts
    workspace: Workspace
    action: TagAction
    merge: bool


class SitePlan(NamedTuple):
    """What happens to a site of the clinic `workspace`, and its name after the merge."""

    site: SiteFacts
    workspace: Workspace
    action: SiteAction
    resulting_name: str


class MemberPlan(NamedTuple):
    """What happens to a member of the clinic `workspace`.

    `resulting_roles` are the roles that the person has in the target after the merge. `loses_address`: another member of
    the target already has the address.
    """

    member: MemberFacts
    workspace: Workspace
    action: Action
    resulting_roles: tuple[Role, ...]
    in_both: bool = False
    downgraded: bool = False
    loses_address: bool = False


@dataclass(frozen=True)
class MergePlan:
    """What merging `source` into `target` would do. Lists begin with the items of the source."""

    source: ClinicFacts
    target: ClinicFacts
    settings: tuple[SettingPlan, ...]
    restrictions_match: bool
    tags: tuple[TagPlan, ...]
    sites: tuple[SitePlan, ...]
    members: tuple[MemberPlan, ...]
    blocks: tuple[Block, ...]

    @cached_property
    def tag_names(self) -> Mapping[str, str]:
        """The names of the tags after the merge, by the ids that they have now in either clinic."""
        kept = {Tag.key_of(plan.tag.name): plan.tag.name for plan in self.tags if plan.action is not TagAction.SKIP}
        return {plan.tag.id: kept[Tag.key_of(plan.tag.name)] for plan in self.tags}

    @cached_property
    def site_names(self) -> Mapping[str, str]:
        """The names of the sites after the merge, by their ids."""
        return {plan.site.id: plan.resulting_name for plan in self.sites}


def plan_merge(source: ClinicFacts, target: ClinicFacts) -> MergePlan:
    """Plan merging `source` into `target`, which must be different clinics."""
    settings = tuple(_compare(source.settings, target.settings))
    restrictions_match = {*map(_compared, source.restrictions)} <= {*map(_compared, target.restrictions)}
    tags = (*_source_tags(source, target), *_target_tags(source, target))
    return MergePlan(
        source,
        target,
        settings,
        restrictions_match,
        tags,
        (*_source_sites(source, target), *_target_sites(target)),
        (*_source_members(source, target), *_target_members(source, target)),
        tuple(_blocks(source, target, settings, restrictions_match, tags)),
    )


def _compare(source: Settings, target: Settings) -> Iterator[SettingPlan]:
    yield SettingPlan("mrnRequired", _spelled(source.mrn_required), _spelled(target.mrn_required))
    yield SettingPlan("mrnUnique", _spelled(source.mrn_unique), _spelled(target.mrn_unique))
    yield SettingPlan("preferredBgUnits", source.preferred_bg_units, target.preferred_bg_units)
    yield SettingPlan("timezone", source.timezone, target.timezone)


def _spelled(value: bool) -> str:
    return "true" if value else "false"


def _compared(restriction: RestrictionFacts) -> tuple[str, str]:
    return folded(restriction.email_domain), folded(restriction.required_idp or "")


_MISMATCHES = {
    "mrnRequired": "The clinics differ in whether medical record numbers are required.",
    "mrnUnique": "The clinics differ in whether medical record numbers must be unique.",
    "preferredBgUnits": "The clinics show glucose values in different units.",
    "timezone": "The clinics have different time zones.",
}


def _blocks(
    source: ClinicFacts,
    target: ClinicFacts,
    settings: Iterable[SettingPlan],
    restrictions_match: bool,
    tags: Iterable[TagPlan],
) -> Iterator[Block]:
    for setting in settings:
        if not setting.match:
            yield Block(BlockCode.SETTINGS_MISMATCH, _MISMATCHES[setting.name])
    if not restrictions_match:
        message = "The source clinic has membership restrictions that the target clinic does not have."
        yield Block(BlockCode.SETTINGS_MISMATCH, message)
    if target.restrictions and _user_ids(source) - _user_ids(target):
        message = "The target clinic restricts membership, and not every member of the source clinic is a member of it."
        yield Block(BlockCode.RESTRICTED_TARGET_MEMBERS, message)
    if any(member.is_pending for member in source.members):
        yield Block(BlockCode.PENDING_INVITES, "The source clinic has pending invitations to clinicians.")
    if sum(plan.action is not TagAction.SKIP for plan in tags) > Tag.most_per_clinic:
        yield Block(BlockCode.TOO_MANY_TAGS, f"The clinics have more than {Tag.most_per_clinic} tags together.")


def _user_ids(clinic: ClinicFacts) -> set[str]:
    return {member.user_id for member in clinic.members if member.user_id}


def _source_tags(source: ClinicFacts, target: ClinicFacts) -> Iterator[TagPlan]:
    there = {Tag.key_of(tag.name) for tag in target.tags}
    for tag in source.tags:
        merge = Tag.key_of(tag.name) in there
        yield TagPlan(tag, Workspace.SOURCE, TagAction.SKIP if merge else TagAction.CREATE, merge)


def _target_tags(source: ClinicFacts, target: ClinicFacts) -> Iterator[TagPlan]:
    coming = {Tag.key_of(tag.name) for tag in source.tags}
    for tag in target.tags:
        yield TagPlan(tag, Workspace.TARGET, TagAction.RETAIN, Tag.key_of(tag.name) in coming)


def _source_sites(source: ClinicFacts, target: ClinicFacts) -> Iterator[SitePlan]:
    there = {Site.key_of(site.name) for site in target.sites}
    # Sites that keep their names are planned first, so that no new name is equal to one of them.
    taken = there | {Site.key_of(site.name) for site in source.sites}
    for site in source.sites:
        if Site.key_of(site.name) not in there:
            yield SitePlan(site, Workspace.SOURCE, SiteAction.MOVE, site.name)
            continue
        name = Site.free_name(site.name, taken)
        taken.add(Site.key_of(name))
        yield SitePlan(site, Workspace.SOURCE, SiteAction.RENAME, name)


def _target_sites(target: ClinicFacts) -> Iterator[SitePlan]:
    return (SitePlan(site, Workspace.TARGET, SiteAction.RETAIN, site.name) for site in target.sites)


def _source_members(source: ClinicFacts, target: ClinicFacts) -> Iterator[MemberPlan]:
    there = {member.user_id: member for member in target.members if not member.is_pending}
    addresses = {member.email for member in target.members if member.user_id and member.email}
    for member in source.members:
        counterpart = there.get(member.user_id)
        if counterpart is None:
            loses = member.email in addresses
            yield MemberPlan(member, Workspace.SOURCE, Action.MOVE, member.roles, loses_address=loses)
        else:
            downgraded = member.counts_as_admin and not counterpart.counts_as_admin
            yield MemberPlan(
                member, Workspace.SOURCE, Action.MERGE, counterpart.roles, in_both=True, downgraded=downgraded
            )


def _target_members(source: ClinicFacts, target: ClinicFacts) -> Iterator[MemberPlan]:
    coming, present = _user_ids(source), _user_ids(target)
    moving = [member for member in source.members if member.user_id and member.user_id not in present]
    expected = {value for member in moving for value in (member.user_id, member.email) if value}
    for member in target.members:
        in_both = member.user_id in coming
        if member.is_pending and expected & {member.email, member.invited_user_id}:
            action = Action.CANCEL
        else:
            action = Action.MERGE_INTO if in_both else Action.RETAIN
        yield MemberPlan(member, Workspace.TARGET, action, member.roles, in_both=in_both)
