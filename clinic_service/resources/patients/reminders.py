"""Reminders: mails in which a clinic asks a patient to upload data."""

from __future__ import annotations

from clinic_service.models import MailPurpose
from clinic_service.outbox.events import UNNAMED_CLINIC, UNNAMED_PATIENT, UploadReminded
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.unit_of_work import UnitOfWork


def remind_to_upload(uow: UnitOfWork, clinic_id: str, user_id: str, sender: MailSender) -> None:
    """Ask the patient to upload data. Every call sends one more mail, within the limits of `outbox/mail_limits.py`.

    Raises ClinicNotFound, PatientNotFound and MailLimitReached.
    """
    clinic = uow.clinics.lock(clinic_id)
    patient = uow.patients.lock(clinic_id, user_id)
    uow.mail_limits.count(clinic_id, MailPurpose.REMINDER, sender)
    patient.last_upload_reminder_time = uow.now
    uow.patients.touch(patient)
    clinic_name = clinic.name or UNNAMED_CLINIC
    uow.outbox.add(UploadReminded(clinic_id, user_id, clinic_name, patient.full_name or UNNAMED_PATIENT))
