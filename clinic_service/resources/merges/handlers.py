"""The operations of `spec/clinic/paths/merges.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Answer, Context
from clinic_service.resources.merges.errors import SameClinic
from clinic_service.resources.merges.execution import merge_clinics
from clinic_service.resources.merges.planning import Planning
from clinic_service.resources.merges.report import merge_report
from clinic_service.resources.merges.spreadsheet import MEDIA_TYPE, merge_workbook


def merge_clinic(ctx: Context, clinic_id: str, body: Any) -> None:
    """Merge the clinic in the body (the source) into the clinic in the path (the target)."""
    merge_clinics(ctx.uow, _source_id(clinic_id, body), clinic_id, ctx.config.demo_patient_user_id)


def generate_merge_report(ctx: Context, clinic_id: str, body: Any, media_type: str) -> Answer:
    """The report on a merge of the clinic in the body (the source) into the clinic in the path (the target)."""
    source_id = _source_id(clinic_id, body)
    with ctx.uow.snapshot():
        planning = Planning(ctx.uow, source_id, clinic_id, ctx.config.demo_patient_user_id)
        if media_type != MEDIA_TYPE:
            return Answer(200, merge_report(planning, ctx.uow.now))
        workbook = merge_workbook(planning, ctx.uow.now)
    name = f"merge-report-{int(ctx.uow.now.timestamp())}.xlsx"
    return Answer(200, workbook, MEDIA_TYPE, [("Content-Disposition", f"attachment; filename={name}")])


def _source_id(clinic_id: str, body: Any) -> str:
    """The id of the clinic in the body. Raises SameClinic when it is the clinic in the path."""
    source_id: str = body["sourceId"]
    if source_id == clinic_id:
        raise SameClinic
    return source_id
