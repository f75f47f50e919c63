"""The ways in which what is asked of the integration of health record systems can fail."""

from __future__ import annotations

from clinic_service.errors import BadRequest, Conflict, NotFound, Violation

_MESSAGE = "/body/messageRef/documentId"


class EhrClinicNotFound(NotFound):
    message = "No clinic is enabled for messages of this source."


class SourceShared(Conflict):
    message = "Several clinics are enabled for messages of this source."


class MessageNotFound(NotFound):
    message = "No such message is stored."


class SourceMissing(BadRequest):
    message = "The message does not name its source."
    violations = (Violation(_MESSAGE, "state"),)


class BirthDateMissing(BadRequest):
    message = "The date of birth of the patient is missing."
    violations = (Violation(_MESSAGE, "state"),)


class NameMissing(BadRequest):
    message = "The name of the patient is missing."
    violations = (Violation(_MESSAGE, "state"),)


class SubscriptionNotFound(NotFound):
    message = "The patient has no active subscription to reports."
