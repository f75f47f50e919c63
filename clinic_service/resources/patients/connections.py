"""Mails in which a clinic asks a patient to connect a provider of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from clinic_service.db.repository import Unit
from clinic_service.models import Clinic, DataSourceState, Patient
from clinic_service.outbox.events import (
    PROVIDER_NAMES,
    UNNAMED_CLINIC,
    UNNAMED_PATIENT,
    ConnectionAction,
    ConnectionRequested,
)
from clinic_service.resources.patients.descriptions import PatientDescription, describe

_NAMES = select(Clinic.id, Clinic.name).where(Clinic.id.in_(bindparam("ids", expanding=True)))


def request(
    patient: Any, provider_id: str, state: DataSourceState | None, clinic_name: str | None
) -> ConnectionRequested:
    """The request for a provider whose first source of the patient is in that state, None when there is no source."""
    return ConnectionRequested(
        patient.clinic_id,
        patient.user_id,
        provider_id,
        _action(state, is_custodial=patient.permission_custodian),
        clinic_name or UNNAMED_CLINIC,
        patient.full_name or UNNAMED_PATIENT,
        PROVIDER_NAMES[provider_id],
    )


def repeated_requests(unit: Unit, patients: Sequence[Patient]) -> list[ConnectionRequested]:
    """What patients were asked before, to be mailed once more because the address they have now never got it."""
    asked = [patient for patient in patients if patient.email and patient.connection_requests]
    if not asked:
        return []
    found = unit.execute(_NAMES, {"ids": list({patient.clinic_id for patient in asked})})
    names = {row.id: row.name for row in found}
    described = describe(unit, asked, with_summaries=False)
    return [one for patient in described for one in _requests(patient, names[patient.clinic_id])]


def _requests(patient: PatientDescription, clinic_name: str | None) -> Iterator[ConnectionRequested]:
    for provider_id, requests in patient.connection_requests.items():
        if requests:
            sources = [source for source in patient.data_sources or () if source.provider_name == provider_id]
            yield request(patient, provider_id, sources[0].state if sources else None, clinic_name)


def _action(state: DataSourceState | None, *, is_custodial: bool) -> ConnectionAction:
    if state is DataSourceState.PENDING_RECONNECT:
        return ConnectionAction.RECONNECT
    return ConnectionAction.CONNECT_CUSTODIAL if is_custodial else ConnectionAction.CONNECT
