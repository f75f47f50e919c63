"""The parts of a plan as JSON objects. Reports show them, and a merge stores them when it is carried out."""

from __future__ import annotations

from typing import Any

from clinic_service.resources.merges.patient_plans import PatientPlan
from clinic_service.resources.merges.plan import MemberPlan, SitePlan, TagPlan, Workspace

_BOTH = [Workspace.SOURCE, Workspace.TARGET]


def tag_element(plan: TagPlan) -> dict[str, Any]:
    """What happens to one tag."""
    return {
        "name": plan.tag.name,
        "action": plan.action,
        "workspaces": _BOTH if plan.merge else [plan.workspace],
        "merge": plan.merge,
    }


def site_element(plan: SitePlan) -> dict[str, Any]:
    """What happens to one site."""
    return {
        "id": plan.site.id,
        "name": plan.site.name,
        "resultingName": plan.resulting_name,
        "action": plan.action,
        "workspace": plan.workspace,
    }


def clinician_element(plan: MemberPlan) -> dict[str, Any]:
    """What happens to one member, service account or invitation. Unknown values are left out."""
    member = plan.member
    known = {"userId": member.user_id, "email": member.email, "name": member.name}
    return {
        **{name: value for name, value in known.items() if value},
        "action": plan.action,
        "downgraded": plan.downgraded,
        "resultingRoles": list(plan.resulting_roles),
        "workspaces": _BOTH if plan.in_both else [plan.workspace],
    }


def patient_element(plan: PatientPlan) -> dict[str, Any]:
    """What happens to one patient, without the content of the patient's record."""
    conflicts = [{"category": one.category, "userId": one.patient.user_id} for one in plan.conflicts]
    element: dict[str, Any] = {
        "userId": plan.patient.user_id,
        "action": plan.action,
        "conflicts": conflicts,
        "tags": list(plan.tags),
        "sites": list(plan.sites),
    }
    return element | {"error": plan.error} if plan.error else element
