"""The first sheet of a merge report, as rows: what would happen, without the patients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from clinic_service.models.sort_keys import folded
from clinic_service.resources.merges.facts import RestrictionFacts
from clinic_service.resources.merges.matching import Category
from clinic_service.resources.merges.measures import Measures, resulting_members
from clinic_service.resources.merges.plan import MemberPlan, MergePlan, SiteAction, TagAction, Workspace

Cell = str | int | None
Cells = tuple[Cell, ...]

_SETTINGS = {
    "mrnRequired": "MRN Required",
    "mrnUnique": "MRN Unique",
    "preferredBgUnits": "Glucose Units",
    "timezone": "Time Zone",
}
_MEASURES = {
    "resultingMembers": "Resulting Members",
    "resultingAdmins": "Resulting Admins",
    "downgradedMembers": "Downgraded Members",
    "resultingTags": "Resulting Tags",
    "duplicateTags": "Duplicate Tags",
    "resultingSites": "Resulting Sites",
    "renamedSites": "Renamed Sites",
    "resultingPatients": "Resulting Patients",
    "duplicateAccounts": Category.DUPLICATE_ACCOUNTS.value,
    "likelyDuplicateAccounts": Category.LIKELY_DUPLICATE_ACCOUNTS.value,
    "mrnOnlyMatches": Category.MRN_ONLY.value,
    "nameOnlyMatches": Category.NAME_ONLY.value,
}
_SITE_ACTIONS = {SiteAction.MOVE: "Create", SiteAction.RENAME: "Rename", SiteAction.RETAIN: "Retain"}
_TAG_ACTIONS = {TagAction.CREATE: "Create", TagAction.RETAIN: "Retain"}


def spelled_time(time: datetime) -> str:
    """A point in time, in UTC, as the sheets show it."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def summary_rows(plan: MergePlan, measures: Measures, created_time: datetime) -> Iterator[Cells]:
    """The rows, with an empty row between blocks. `measures` has counted the patients of both clinics."""
    for block in (
        _heading(plan, created_time),
        _verdict(measures),
        _settings(plan),
        ((_MEASURES[name], number) for name, number in measures.counts().items()),
        _members(plan),
        _invites(plan),
        _tags(plan),
        _sites(plan),
    ):
        yield from block
        yield ()


def _heading(plan: MergePlan, created_time: datetime) -> Iterator[Cells]:
    yield "Generated (UTC)", spelled_time(created_time)
    yield "Source Clinic", plan.source.name, plan.source.id
    yield "Target Clinic", plan.target.name, plan.target.id


def _verdict(measures: Measures) -> Iterator[Cells]:
    yield "Can Be Merged", "No" if measures.blocks else "Yes"
    for block in measures.blocks:
        yield "Reason", block.message, block.code


def _settings(plan: MergePlan) -> Iterator[Cells]:
    yield "Settings", "Match", "Source Clinic", "Target Clinic"
    source, target = _restrictions(plan.source.restrictions), _restrictions(plan.target.restrictions)
    yield "Partial SSO", _yes(plan.restrictions_match), source, target
    for setting in plan.settings:
        yield _SETTINGS[setting.name], _yes(setting.match), setting.source_value, setting.target_value


def _restrictions(restrictions: Iterable[RestrictionFacts]) -> str:
    return ", ".join(f"{domain} ({idp})" if idp else domain for domain, idp in restrictions) or "-"


def _yes(match: bool) -> str:
    return "Yes" if match else "No"


def _members(plan: MergePlan) -> Iterator[Cells]:
    members = sorted(resulting_members(plan), key=_member_order)
    downgraded = {one.member.user_id for one in plan.members if one.downgraded}
    admins = [one for one in members if one.member.counts_as_admin]
    yield (f"Resulting Admins ({len(admins)}) ---",)
    yield from (_member(one) for one in admins)
    yield ()
    yield (f"Resulting Members ({len(members)}) ---",)
    for one in members:
        yield *_member(one), "Downgraded" if one.member.user_id in downgraded else None


def _member(plan: MemberPlan) -> Cells:
    return plan.member.name, plan.member.email, plan.member.user_id


def _member_order(plan: MemberPlan) -> tuple[str, str]:
    return folded(plan.member.name or ""), plan.member.user_id or ""


def _invites(plan: MergePlan) -> Iterator[Cells]:
    for name, workspace in (("Source", Workspace.SOURCE), ("Target", Workspace.TARGET)):
        pending = [one.member for one in plan.members if one.workspace is workspace and one.member.is_pending]
        yield (f"Pending Invites in {name} Clinic ({len(pending)}) ---",)
        yield from ((one.email, ", ".join(one.roles)) for one in sorted(pending, key=lambda one: one.email or ""))
        yield ()


def _tags(plan: MergePlan) -> Iterator[Cells]:
    tags = [one for one in plan.tags if one.action is not TagAction.SKIP]
    yield (f"Resulting Tags ({len(tags)}) ---",)
    for one in sorted(tags, key=lambda one: (folded(one.tag.name), one.tag.name)):
        yield one.tag.name, "both" if one.merge else one.workspace.value, _TAG_ACTIONS[one.action]


def _sites(plan: MergePlan) -> Iterator[Cells]:
    yield (f"Resulting Sites ({len(plan.sites)}) ---",)
    for one in sorted(plan.sites, key=lambda one: (folded(one.resulting_name), one.resulting_name)):
        yield one.resulting_name, one.workspace.value, _SITE_ACTIONS[one.action]
