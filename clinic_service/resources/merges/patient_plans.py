"""What a merge does to each patient: a pure function of the patient, of similar patients, and of the plan."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from clinic_service.models.sort_keys import folded
from clinic_service.resources.merges.facts import PatientFacts
from clinic_service.resources.merges.matching import Lookup, RecordConflict
from clinic_service.resources.merges.plan import Action, Block, BlockCode, MergePlan, Workspace

MESSAGES = {
    BlockCode.MRN_REQUIRED: "The target clinic requires medical record numbers, and a patient who would move has none.",
    BlockCode.DUPLICATE_MRN_TARGET: (
        "Medical record numbers must be unique, and a patient who would move has the same as one of the target clinic."
    ),
    BlockCode.DUPLICATE_MRN_SOURCE: (
        "Medical record numbers must be unique, and a patient who would move has the same as another of the source clinic."
    ),
}


@dataclass(frozen=True, slots=True)
class PatientPlan:
    """What happens to a patient of the clinic `workspace`.

    `conflicts` are records of the other clinic; only patients of the source have them. `tags` and `sites` are the sorted
    names of the tags and sites that the person has after the merge. `error` rules the merge out.
    """

    patient: PatientFacts
    workspace: Workspace
    action: Action
    conflicts: tuple[RecordConflict, ...]
    tags: tuple[str, ...]
    sites: tuple[str, ...]
    error: BlockCode | None = None

    @property
    def block(self) -> Block | None:
        """The reason that rules the merge out, if this patient is one."""
        return Block(self.error, MESSAGES[self.error]) if self.error else None


def plan_source_patient(
    plan: MergePlan, patient: PatientFacts, target: Lookup, repeated_mrns: Container[str | None]
) -> PatientPlan:
    """Plan what happens to a patient of the source.

    `target` has at least the patients of the target who share the user, name or medical record number with `patient`.

    `repeated_mrns` are the keys of numbers that several patients of the source have.
    """
    counterpart = target.same_user(patient)
    return PatientPlan(
        patient,
        Workspace.SOURCE,
        Action.MERGE if counterpart else Action.MOVE,
        target.conflicts(patient),
        *_tags_and_sites(plan, patient, counterpart),
        error=None if counterpart else _error(plan, patient, target, repeated_mrns),
    )


def plan_target_patient(plan: MergePlan, patient: PatientFacts, source: Lookup) -> PatientPlan:
    """Plan what happens to a patient of the target.

    `source` has at least the source's record of the same user, if there is one.
    """
    counterpart = source.same_user(patient)
    action = Action.MERGE_INTO if counterpart else Action.RETAIN
    return PatientPlan(patient, Workspace.TARGET, action, (), *_tags_and_sites(plan, patient, counterpart))


def _error(
    plan: MergePlan, patient: PatientFacts, target: Lookup, repeated_mrns: Container[str | None]
) -> BlockCode | None:
    settings = plan.target.settings
    if patient.mrn_key is None:
        return BlockCode.MRN_REQUIRED if settings.mrn_required else None
    if settings.mrn_unique and patient.mrn_key in repeated_mrns:
        return BlockCode.DUPLICATE_MRN_SOURCE
    if settings.mrn_unique and target.shares_mrn(patient):
        return BlockCode.DUPLICATE_MRN_TARGET
    return None


def _tags_and_sites(
    plan: MergePlan, patient: PatientFacts, counterpart: PatientFacts | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the tags and the sites of all the records, each once."""
    both = (patient, counterpart) if counterpart else (patient,)
    tags = {plan.tag_names[one] for record in both for one in record.tag_ids}
    sites = {plan.site_names[one] for record in both for one in record.site_ids}
    return _sorted(tags), _sorted(sites)


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (folded(name), name)))
