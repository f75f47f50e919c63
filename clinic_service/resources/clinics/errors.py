"""The errors of requests about clinics."""

from __future__ import annotations

from clinic_service.errors import BadGateway, BadRequest, ConstraintViolation, NotFound, ServiceError, Violation


class ClinicNotFound(NotFound):
    message = "The clinic was not found."


class ClinicNotMigrated(ConstraintViolation):
    message = "The clinic has not been migrated."
    violations = (Violation("/path/clinicId", "state"),)


class ClinicNotEmpty(BadRequest):
    message = "The clinic still has patients. Remove them first."
    violations = (Violation("/path/clinicId", "state"),)


class DemoPatientUnknown(BadGateway):
    """The configuration names a demo patient who does not exist."""

    message = "The account of the demonstration patient cannot be read."


class NoFreeShareCode(ServiceError):
    """All the random share codes that were tried are taken, which is very improbable by chance."""
