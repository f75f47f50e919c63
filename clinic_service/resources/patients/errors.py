"""The ways in which what is asked of a patient can fail."""

from __future__ import annotations

from clinic_service.errors import BadRequest, Conflict, ConstraintViolation, NotFound, PaymentRequired


class PatientNotFound(NotFound):
    message = "The patient was not found."


class DuplicatePatient(Conflict):
    message = "The user is already a patient of the clinic."


class MrnRequired(BadRequest):
    message = "The clinic requires a medical record number."


class DuplicateMrn(BadRequest):
    message = "The medical record number must be unique in the clinic."


class CustomRangesMissing(BadRequest):
    message = "Custom glycemic ranges must be given when their type is custom."


class PatientLimitReached(PaymentRequired):
    message = "The clinic's plan allows no further patient."


class UnknownSite(ConstraintViolation):
    message = "A site is not one of the clinic's."
