"""The errors of the integration of health record systems."""

from __future__ import annotations

from clinic_service.errors import (
    BadGateway,
    BadRequest,
    Conflict,
    ConstraintViolation,
    NotFound,
    Unauthenticated,
    Violation,
)

_MESSAGE = "/body/messageRef/documentId"


class EhrClinicNotFound(NotFound):
    message = "No clinic is enabled for messages of this source."


class SourceShared(Conflict):
    message = "Several clinics are enabled for messages of this source."
    violations = (Violation(_MESSAGE, "state"),)


class MessageNotFound(NotFound):
    message = "No such message is stored."


class SourceMissing(BadRequest):
    message = "The message does not name its source."
    violations = (Violation(_MESSAGE, "state"),)


class BirthDateMissing(BadRequest):
    message = "The date of birth of the patient is missing."
    violations = (Violation(_MESSAGE, "state"),)


class PatientNameMissing(BadRequest):
    message = "The name of the patient is missing."
    violations = (Violation(_MESSAGE, "state"),)


class RedoxNotEnabled(NotFound):
    message = "The clinic is not connected to a health record system through Redox."


class SubscriptionNotFound(NotFound):
    message = "The patient has no active subscription to reports."


class DemographicsMissing(BadRequest):
    message = "The demographics of the patient are missing."


class MrnMissing(BadRequest):
    message = "The medical record number of the patient is missing."


class SeveralPatients(ConstraintViolation):
    message = "Several patients of the clinic match."
    violations = (Violation("/body/patientIdentity/ids", "unique"),)


class TrackingIdMissing(BadRequest):
    message = "The order does not contain the tracking id of its form."
    violations = (Violation("/body/orderId", "state"),)


class PreorderNotFound(NotFound):
    message = "The input of the form that the order belongs to is not stored."


class OrderNotFound(NotFound):
    message = "The order behind the subscription is no longer stored."


class OrderMismatch(BadGateway):
    message = "Xealth returned another order than the one in the event."


class PatientDataIncomplete(ConstraintViolation):
    message = "The clinic's record lacks the date of birth, the name or the medical record number of the patient."
    violations = (Violation("/query/patientId", "state"),)


class ReportTokenRefused(Unauthenticated):
    message = "The token does not give access to this report."
