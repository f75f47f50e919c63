"""How settings and counts are spelled on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from marshmallow import fields

from clinic_service.serialization import Computed, WireSchema


@dataclass(frozen=True, slots=True)
class PatientCount:
    """Numbers of patients: all, the demonstration patient, those in the plan, and those with a source by provider.

    The rows of `by_provider` have a `provider_name`, a `state`, None for the total of the provider, and how many
    `patients` there are.
    """

    total: int
    demo: int
    plan: int
    by_provider: Iterable[Any]


def _providers(count: PatientCount) -> dict[str, Any] | None:
    """None when nobody has a data source."""
    providers: dict[str, Any] = {}
    for row in count.by_provider:
        provider = providers.setdefault(row.provider_name, {"total": 0, "states": {}})
        if row.state is None:
            provider["total"] = row.patients
        else:
            provider["states"][str(row.state)] = row.patients
    return providers or None


class PatientCountSchema(WireSchema):
    """`patientCount.v1`."""

    total = fields.Integer()
    demo = fields.Integer()
    plan = fields.Integer()
    providers = Computed(_providers)


patient_count_schema = PatientCountSchema()
