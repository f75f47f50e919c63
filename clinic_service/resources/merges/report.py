"""The plan of a merge as JSON: `mergeReport.v1`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from clinic_service.clock import to_wire
from clinic_service.models.sort_keys import folded
from clinic_service.resources.merges.elements import clinician_element, patient_element, site_element, tag_element
from clinic_service.resources.merges.facts import RestrictionFacts
from clinic_service.resources.merges.measures import Measures
from clinic_service.resources.merges.patient_plans import PatientPlan
from clinic_service.resources.merges.plan import MergePlan, SettingPlan
from clinic_service.resources.merges.planning import Planning


def merge_report(planning: Planning, created_time: datetime) -> dict[str, Any]:
    """The report on the planned merge. Lists are sorted by name, then by id."""
    plan, measures = planning.plan, Measures(planning.plan)
    patients: list[PatientPlan] = []
    for pages in (planning.source_patients(), planning.target_patients()):
        for page in pages:
            measures.add(page)
            patients += page
    return {
        "sourceId": plan.source.id,
        "targetId": plan.target.id,
        "createdTime": to_wire(created_time),
        "canExecute": not measures.blocks,
        "errors": [{"code": block.code, "message": block.message} for block in measures.blocks],
        "settings": [_setting(setting) for setting in plan.settings],
        "membershipRestrictions": _restrictions(plan),
        **_parts(plan),
        "patients": [patient_element(one) for one in sorted(patients, key=_patient_order)],
        "counts": measures.counts(),
    }


def _setting(setting: SettingPlan) -> dict[str, Any]:
    return {
        "name": setting.name,
        "sourceValue": setting.source_value,
        "targetValue": setting.target_value,
        "match": setting.match,
    }


def _restrictions(plan: MergePlan) -> dict[str, Any]:
    return {
        "source": _spelled(plan.source.restrictions),
        "target": _spelled(plan.target.restrictions),
        "match": plan.restrictions_match,
    }


def _spelled(restrictions: Iterable[RestrictionFacts]) -> list[dict[str, str]]:
    return [
        {"emailDomain": domain, "requiredIdp": idp} if idp else {"emailDomain": domain} for domain, idp in restrictions
    ]


def _parts(plan: MergePlan) -> dict[str, Any]:
    tags = sorted(plan.tags, key=lambda one: (*_by_name(one.tag.name), one.tag.id))
    sites = sorted(plan.sites, key=lambda one: (*_by_name(one.site.name), one.site.id))
    members = sorted(
        plan.members,
        key=lambda one: (*_by_name(one.member.name), one.member.user_id or "", one.workspace, one.member.id),
    )
    return {
        "tags": [tag_element(one) for one in tags],
        "sites": [site_element(one) for one in sites],
        "clinicians": [clinician_element(one) for one in members],
    }


def _by_name(name: str | None) -> tuple[str, str]:
    return folded(name or ""), name or ""


def _patient_order(one: PatientPlan) -> tuple[bytes, str, str]:
    return one.patient.name_key, one.patient.user_id, one.workspace
