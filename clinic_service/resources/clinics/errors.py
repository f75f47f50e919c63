"""The ways in which what is asked of a clinic can fail."""

from __future__ import annotations

from clinic_service.errors import BadGateway, BadRequest, ConstraintViolation, NotFound, ServiceError, Violation


class ClinicNotFound(NotFound):
    message = "The clinic was not found."


class ClinicNotMigrated(ConstraintViolation):
    message = "The clinic has not been migrated."
    violations = (Violation("/path/clinicId", "state"),)


class ClinicNotEmpty(BadRequest):
    message = "The clinic still has patients."


class DemoPatientUnknown(BadGateway):
    """The operator configured a user who does not exist."""

    message = "The account of the demonstration patient cannot be read."


class NoFreeShareCode(ServiceError):
    """So many drawn codes were taken that something other than chance must be wrong."""
