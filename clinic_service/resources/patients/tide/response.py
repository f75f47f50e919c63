"""The response of TideReport."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import and_, bindparam, select

from clinic_service.db.dialects import among
from clinic_service.db.repository import Unit
from clinic_service.db.types import wire_time
from clinic_service.models import STATISTICS
from clinic_service.models.statistics import CGM, column_name, scope
from clinic_service.resources.patients.descriptions import PatientDescription
from clinic_service.resources.patients.listing.columns import CLINIC_ID, SUMMARIES
from clinic_service.resources.patients.schemas import tide_patient_schema
from clinic_service.resources.patients.tide.report import TideQuery
from clinic_service.serialization import JsonObject, to_wire

# The figures of each patient in the response.
_NAMES = (
    "averageGlucoseMmol",
    "glucoseManagementIndicator",
    "timeCGMUseMinutes",
    "timeCGMUsePercent",
    "timeInVeryLowPercent",
    "timeInAnyLowPercent",
    "timeInLowPercent",
    "timeInTargetPercent",
    "timeInHighPercent",
    "timeInVeryHighPercent",
    "timeInExtremeHighPercent",
    "timeInAnyHighPercent",
    "timeInTargetPercentDelta",
)
# The part of `config` that is the same in every report; glucose in mmol/L.
_CONFIG = {
    "schemaVersion": 2,
    "veryLowGlucoseThreshold": 3.0,
    "lowGlucoseThreshold": 3.9,
    "highGlucoseThreshold": 10.0,
    "veryHighGlucoseThreshold": 13.9,
    "extremeHighGlucoseThreshold": 19.4,
    "filters": {
        "timeInVeryLowPercent": ">0.01",
        "timeInAnyLowPercent": ">0.04",
        "dropInTimeInTargetPercent": "<-0.15",
        "timeInTargetPercent": "<0.7",
        "timeCGMUsePercent": "<0.7",
    },
}
_FIGURES = (
    select(
        SUMMARIES.c.patient_id,
        wire_time(SUMMARIES.c.last_data),
        *(STATISTICS.c[column_name(name)].label(name) for name in _NAMES),
    )
    .select_from(
        SUMMARIES.outerjoin(
            STATISTICS,
            and_(
                STATISTICS.c.clinic_id == SUMMARIES.c.clinic_id,
                STATISTICS.c.scope == bindparam("scope"),
                STATISTICS.c.patient_id == SUMMARIES.c.patient_id,
            ),
        )
    )
    .where(
        SUMMARIES.c.clinic_id == CLINIC_ID,
        SUMMARIES.c.type == CGM,
        among(SUMMARIES.c.patient_id, "ids"),
    )
)


def figures_of(unit: Unit, clinic_id: str, period: str, ids: Collection[str]) -> dict[str, JsonObject]:
    """The figures and `lastData` of the response, by patient id. Patients without a summary are left out."""
    if not ids:
        return {}
    parameters = {"clinic_id": clinic_id, "scope": scope(CGM, period), "ids": list(ids)}
    return {patient_id: _known(*shown) for patient_id, *shown in unit.rows(_FIGURES, parameters)}


def _known(last_data: str | None, *figures: float | None) -> JsonObject:
    members = dict(zip(_NAMES, figures, strict=True)) | {"lastData": last_data}
    return {name: value for name, value in members.items() if value is not None}


def report(
    clinic_id: str,
    query: TideQuery,
    found: Mapping[str, Iterable[str]],
    patients: Iterable[PatientDescription],
    figures: Mapping[str, JsonObject],
) -> JsonObject:
    """The response `tideResponse.v1`: the parameters, and the patients `found` in each category with their figures."""
    entries = {
        patient.id: {"patient": tide_patient_schema.dump(patient), **figures.get(patient.id, {})}
        for patient in patients
    }
    asked = {
        "clinicId": clinic_id,
        "period": query.period,
        "tags": list(dict.fromkeys(query.tag_ids)),
        "lastDataCutoff": to_wire(query.cutoff),
    }
    results = {category: [entries[patient_id] for patient_id in ids] for category, ids in found.items()}
    return {"config": _CONFIG | asked, "results": results}
