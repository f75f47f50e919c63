"""The measures of a merge: the numbers of each kind afterwards, and the reasons that rule the merge out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from clinic_service.resources.merges.matching import Category
from clinic_service.resources.merges.patient_plans import PatientPlan
from clinic_service.resources.merges.plan import Action, Block, MemberPlan, MergePlan, SiteAction, TagAction

_NAMES = {
    Category.DUPLICATE_ACCOUNTS: "duplicateAccounts",
    Category.LIKELY_DUPLICATE_ACCOUNTS: "likelyDuplicateAccounts",
    Category.MRN_ONLY: "mrnOnlyMatches",
    Category.NAME_ONLY: "nameOnlyMatches",
}


def resulting_members(plan: MergePlan) -> list[MemberPlan]:
    """The members of the target after the merge, including service accounts."""
    dropped = (Action.MERGE, Action.CANCEL)
    return [one for one in plan.members if one.action not in dropped and not one.member.is_pending]


class Measures:
    """Counts the patients of both clinics, batch by batch."""

    def __init__(self, plan: MergePlan) -> None:
        self._plan = plan
        self._patients = 0
        self._conflicts: Counter[Category] = Counter()
        self._blocks = dict.fromkeys(plan.blocks)

    @property
    def blocks(self) -> list[Block]:
        """The distinct reasons that rule the merge out."""
        return list(self._blocks)

    def add(self, patients: Iterable[PatientPlan]) -> None:
        """Count these patients of either clinic."""
        for one in patients:
            self._patients += one.action is not Action.MERGE_INTO
            self._conflicts.update({conflict.category for conflict in one.conflicts})
            if one.block:
                self._blocks[one.block] = None

    def counts(self) -> dict[str, int]:
        """The measures by their names in reports."""
        members, tags, sites = resulting_members(self._plan), self._plan.tags, self._plan.sites
        return {
            "resultingMembers": len(members),
            "resultingAdmins": sum(one.member.counts_as_admin for one in members),
            "downgradedMembers": sum(one.downgraded for one in self._plan.members),
            "resultingTags": sum(one.action is not TagAction.SKIP for one in tags),
            "duplicateTags": sum(one.action is TagAction.SKIP for one in tags),
            "resultingSites": len(sites),
            "renamedSites": sum(one.action is SiteAction.RENAME for one in sites),
            "resultingPatients": self._patients,
            **{name: self._conflicts[category] for category, name in _NAMES.items()},
        }
