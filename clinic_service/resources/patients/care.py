"""What a clinic asks of its patients by mail: to upload data, and to connect a provider of data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import bindparam, select

from clinic_service.clock import to_wire
from clinic_service.models import DataSource, DataSourceState, MailPurpose, Patient
from clinic_service.outbox.events import UNNAMED_CLINIC, UNNAMED_PATIENT, UploadReminded
from clinic_service.outbox.limits import MailSender
from clinic_service.resources.patients.connections import request
from clinic_service.resources.patients.data_sources import replace_data_sources
from clinic_service.resources.patients.errors import DataSourceNotFound
from clinic_service.unit_of_work import UnitOfWork

# How long a patient may take to answer a request to connect, and how many requests are remembered for each provider.
_OPEN_FOR = timedelta(days=30)
_MOST_REQUESTS = 100

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


def remind_to_upload(uow: UnitOfWork, clinic_id: str, user_id: str, sender: MailSender) -> None:
    """Ask the patient to upload data. Every call sends one more mail.

    Raises ClinicNotFound, PatientNotFound and MailLimitReached.
    """
    clinic = uow.clinics.lock(clinic_id)
    patient = uow.patients.lock(clinic_id, user_id)
    uow.mail_limits.count(clinic_id, MailPurpose.REMINDER, sender)
    patient.last_upload_reminder_time = uow.now
    uow.patients.touch(patient)
    clinic_name = clinic.name or UNNAMED_CLINIC
    uow.outbox.add(UploadReminded(clinic_id, user_id, clinic_name, patient.full_name or UNNAMED_PATIENT))


def request_connection(uow: UnitOfWork, clinic_id: str, user_id: str, provider_id: str, sender: MailSender) -> None:
    """Ask the patient to connect the provider, of which there must be a source. Every call sends one more mail.

    The state of the source is judged and changed while nobody else can. Raises ClinicNotFound, PatientNotFound,
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
    uow.outbox.add(request(patient, provider_id, source.state, clinic.name))


def request_first_connections(uow: UnitOfWork, patient: Patient, provider_ids: Sequence[str]) -> None:
    """Ask a new patient, who has no data source yet, to connect the providers.

    No limit counts these mails, because a patient is new only once.
    """
    if not provider_ids:
        return
    state = DataSourceState.PENDING
    source = {"state": state, "expiration_time": uow.now + _OPEN_FOR}
    replace_data_sources(uow, [patient], [source | {"provider_name": provider_id} for provider_id in provider_ids])
    clinic = uow.clinics.get(patient.clinic_id)
    for provider_id in provider_ids:
        _remember_request(patient, provider_id, to_wire(uow.now))
        uow.outbox.add(request(patient, provider_id, state, clinic.name))


def _first_source(uow: UnitOfWork, patient: Patient, provider_id: str) -> DataSource | None:
    key = {"clinic_id": patient.clinic_id, "patient_id": patient.id, "provider_id": provider_id}
    return uow.session.scalars(_FIRST_OF_PROVIDER, key).one_or_none()


def _reopen(source: DataSource, uow: UnitOfWork) -> None:
    """A source that never was connected waits for its first time, any other one for being connected again."""
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
