"""Two clinics as plain facts, and a merge of them carried out on these facts alone: what the real one must come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from clinic_service.models import BgUnits, Role
from clinic_service.resources.merges.facts import ClinicFacts, MemberFacts, PatientFacts, Settings, SiteFacts, TagFacts
from clinic_service.resources.merges.matching import Lookup
from clinic_service.resources.merges.patient_plans import PatientPlan, plan_source_patient, plan_target_patient
from clinic_service.resources.merges.plan import Action, MergePlan, SiteAction, TagAction, plan_merge

SETTINGS = Settings(False, False, BgUnits.MG_DL, None)


class Place(NamedTuple):
    """A clinic with its patients."""

    clinic: ClinicFacts
    patients: tuple[PatientFacts, ...] = ()

    @property
    def user_ids(self) -> set[str]:
        return {patient.user_id for patient in self.patients}

    @property
    def member_ids(self) -> set[str]:
        return {member.user_id for member in self.clinic.members if member.user_id}

    @property
    def admin_ids(self) -> set[str]:
        return {member.user_id for member in self.clinic.members if member.user_id and member.counts_as_admin}


class Planned(NamedTuple):
    """The whole plan, patients included; those of the source come first."""

    plan: MergePlan
    patients: tuple[PatientPlan, ...]

    @property
    def codes(self) -> list[str]:
        """The reasons that rule the merge out."""
        found = [*self.plan.blocks, *(patient.block for patient in self.patients)]
        return list(dict.fromkeys(block.code.value for block in found if block))


def place(
    name: str = "Harbour",
    *,
    members: Iterable[MemberFacts] = (),
    tags: Iterable[str] = (),
    sites: Iterable[str] = (),
    patients: Iterable[PatientFacts] = (),
    settings: Settings = SETTINGS,
) -> Place:
    """A clinic whose ids are made of its name: the tag `Pump` of Harbour has the id `Harbour/tag/Pump`."""
    clinic = ClinicFacts(
        id=name,
        name=name,
        settings=settings,
        tags=tuple(TagFacts(f"{name}/tag/{tag}", tag) for tag in tags),
        sites=tuple(SiteFacts(f"{name}/site/{site}", site) for site in sites),
        members=tuple(members),
    )
    return Place(clinic, tuple(patients))


def member(user_id: str, *roles: Role, clinic: str = "Harbour") -> MemberFacts:
    """A member with an address of their own, by default with the role CLINIC_MEMBER."""
    return MemberFacts(f"{clinic}/{user_id}", user_id, f"{user_id}@mail.example", user_id, roles or (Role.MEMBER,))


def planned(source: Place, target: Place) -> Planned:
    """The plan of merging `source` into `target`; every patient of the one is held against all of the other."""
    plan = plan_merge(source.clinic, target.clinic)
    in_source, in_target = Lookup(source.patients), Lookup(target.patients)
    numbers = Counter(patient.mrn_key for patient in source.patients if patient.mrn_key)
    repeated = {number for number, times in numbers.items() if times > 1}
    return Planned(
        plan,
        (
            *(plan_source_patient(plan, patient, in_target, repeated) for patient in source.patients),
            *(plan_target_patient(plan, patient, in_source) for patient in target.patients),
        ),
    )


def merged(source: Place, target: Place) -> Place:
    """What the target is afterwards, whatever rules the merge out."""
    plan, patients = planned(source, target)
    tags = [one.tag for one in plan.tags if one.action is TagAction.RETAIN]
    tags += [one.tag for one in plan.tags if one.action is TagAction.CREATE]
    sites = [one.site for one in plan.sites if one.action is SiteAction.RETAIN]
    sites += [SiteFacts(one.site.id, one.resulting_name) for one in plan.sites if one.action is not SiteAction.RETAIN]
    members = [
        one.member._replace(roles=one.resulting_roles)
        for one in plan.members
        if one.action not in (Action.MERGE, Action.CANCEL)
    ]
    clinic = ClinicFacts(
        plan.target.id,
        plan.target.name,
        plan.target.settings,
        plan.target.restrictions,
        tuple(tags),
        tuple(sites),
        tuple(members),
    )
    tag_ids = {tag.name: tag.id for tag in tags}
    site_ids = {site.name: site.id for site in sites}
    stay = [
        one.patient._replace(
            tag_ids=tuple(tag_ids[name] for name in one.tags), site_ids=tuple(site_ids[name] for name in one.sites)
        )
        for one in patients
        if one.action is not Action.MERGE
    ]
    return Place(clinic, tuple(stay))
