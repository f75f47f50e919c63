"""The errors of requests about clinicians."""

from __future__ import annotations

from clinic_service.errors import Conflict, ConstraintViolation, NotFound, Violation


class ClinicianNotFound(NotFound):
    message = "The clinician was not found."


class DuplicateClinician(Conflict):
    message = "The clinic already has this clinician, or an invitation for this person."
    violations = (Violation("/body/email", "unique"),)


class ClinicianEmailTaken(ConstraintViolation):
    message = "Another clinician or invitation of a clinic has this e-mail address."
    violations = (Violation("/body/email", "unique"),)


class LastAdmin(ConstraintViolation):
    message = "A clinic must keep at least one administrator."
    violations = (Violation("/path/clinicianId", "state"),)


class ServiceAccountAsAdmin(ConstraintViolation):
    message = "A service account cannot be made an administrator by a person."
    violations = (Violation("/body/roles", "state"),)
