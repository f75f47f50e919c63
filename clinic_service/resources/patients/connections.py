"""Connections: mails in which a clinic asks a patient to connect a data provider, and the list of such requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import bindparam, select

from clinic_service.clock import to_wire
from clinic_service.models import Clinic, DataSource, DataSourceState, MailPurpose, Patient
from clinic_service.outbox.events import (
    PROVIDER_NAMES,
    UNNAMED_CLINIC,
    UNNAMED_PATIENT,
    ConnectionAction,
    ConnectionRequested,
)
from clinic_service.outbox.mail_limits import MailLimitReached, MailSender
from clinic_service.resources.patients.data_sources import replace_data_sources
from clinic_service.resources.patients.descriptions import PatientDescription, PatientRow, describe
from clinic_service.resources.patients.errors import DataSourceNotFound
from clinic_service.unit_of_work import UnitOfWork

# The time after which a request to connect expires, and the number of requests that are stored for each provider.
_OPEN_FOR = timedelta(days=30)
_MOST_REQUESTS = 100


def request_connection(uow: UnitOfWork, clinic_id: str, user_id: str, provider_id: str, sender: MailSender) -> None:
    """Ask the patient to connect the provider. The patient must have a source of it. Every call sends one more mail.

    The patient is locked while the state of the source is read and changed. Raises ClinicNotFound, PatientNotFound,
    DataSourceNotFound and MailLimitReached.
    """
    clinic = uow.clinics.lock(clinic_id)
    patient = uow.patients.lock(clinic_id, user_id)
    source = _first_source(uow, patient, provider_id)
    if source is None:
        raise DataSourceNotFound
    uow.mail_limits.count(clinic_id, MailPurpose.REMINDER, sender)
    _reopen(source, uow)
    _remember_request(patient, provider_id, to_wire(uow.now))
    uow.patients.touch(patient)
    uow.outbox.add(_request(patient, provider_id, source.state, clinic.name))


def request_first_connections(uow: UnitOfWork, patient: Patient, provider_ids: Sequence[str]) -> None:
    """Ask a new patient, who has no data source yet, to connect the providers.

    These mails do not count towards a limit, because a patient is new only once.
    """
    if not provider_ids:
        return
    state = DataSourceState.PENDING
    source = {"state": state, "expiration_time": uow.now + _OPEN_FOR}
    replace_data_sources(uow, [patient], [source | {"provider_name": provider_id} for provider_id in provider_ids])
    clinic = uow.clinics.get(patient.clinic_id)
    for provider_id in provider_ids:
        _remember_request(patient, provider_id, to_wire(uow.now))
        uow.outbox.add(_request(patient, provider_id, state, clinic.name))


_FIRST_OF_PROVIDER = (
    select(DataSource)
    .where(
        DataSource.clinic_id == bindparam("clinic_id"),
        DataSource.patient_id == bindparam("patient_id"),
        DataSource.provider_name == bindparam("provider_id"),
    )
    .order_by(DataSource.position)
    .limit(1)
)


def _first_source(uow: UnitOfWork, patient: Patient, provider_id: str) -> DataSource | None:
    key = {"clinic_id": patient.clinic_id, "patient_id": patient.id, "provider_id": provider_id}
    return uow.session.scalars(_FIRST_OF_PROVIDER, key).one_or_none()


def _reopen(source: DataSource, uow: UnitOfWork) -> None:
    """Make the source pending: for its first connection if it was never connected, else for reconnection."""
    source.expiration_time = uow.now + _OPEN_FOR
    if source.modified_time is None:
        source.state = DataSourceState.PENDING
    else:
        source.state = DataSourceState.PENDING_RECONNECT
        source.modified_time = uow.now


def _remember_request(patient: Patient, provider_id: str, time: str) -> None:
    requests = patient.connection_requests or {}
    newest = {"providerName": provider_id, "createdTime": time}
    kept = [newest, *requests.get(provider_id, [])][:_MOST_REQUESTS]
    patient.connection_requests = {**requests, provider_id: kept}


def _request(
    patient: Patient | PatientRow, provider_id: str, state: DataSourceState | None, clinic_name: str | None
) -> ConnectionRequested:
    """The event of a request. `state` is that of the patient's first source of the provider; None without a source."""
    return ConnectionRequested(
        patient.clinic_id,
        patient.user_id,
        provider_id,
        _action(state, is_custodial=patient.permission_custodian),
        clinic_name or UNNAMED_CLINIC,
        patient.full_name or UNNAMED_PATIENT,
        PROVIDER_NAMES[provider_id],
    )


_NAMES = select(Clinic.id, Clinic.name).where(Clinic.id.in_(bindparam("ids", expanding=True)))


def repeat_requests(uow: UnitOfWork, patients: Sequence[Patient]) -> None:
    """Send the requests to connect again, because the addresses of the patients have changed."""
    asked = [patient for patient in patients if patient.email and patient.connection_requests]
    if not asked:
        return
    names = dict(uow.execute(_NAMES, {"ids": list({patient.clinic_id for patient in asked})}).all())
    described = describe(uow, [PatientRow.of(patient) for patient in asked], with_summaries=False)
    uow.outbox.add(*(one for patient in described for one in _requests(patient, names[patient.clinic_id])))


def repeat_requests_within_limit(uow: UnitOfWork, patient: Patient, sender: MailSender) -> None:
    """As `repeat_requests`, but sends no mail when the sender has reached the limit. This is not an error."""
    if not patient.email or not patient.connection_requests:
        return
    with suppress(MailLimitReached):
        uow.mail_limits.count(patient.clinic_id, MailPurpose.REMINDER, sender)
        repeat_requests(uow, [patient])


def _requests(patient: PatientDescription, clinic_name: str | None) -> Iterator[ConnectionRequested]:
    for provider_id, requests in (patient.connection_requests or {}).items():
        if requests:
            sources = [source for source in patient.data_sources or () if source.provider_name == provider_id]
            yield _request(patient, provider_id, sources[0].state if sources else None, clinic_name)


def _action(state: DataSourceState | None, *, is_custodial: bool) -> ConnectionAction:
    if state is DataSourceState.PENDING_RECONNECT:
        return ConnectionAction.RECONNECT
    return ConnectionAction.CONNECT_CUSTODIAL if is_custodial else ConnectionAction.CONNECT
