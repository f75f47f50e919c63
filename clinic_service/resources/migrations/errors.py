"""The errors of requests about migrations."""

from __future__ import annotations

from clinic_service.errors import Conflict, ConstraintViolation, NotFound, Violation


class MigrationNotFound(NotFound):
    message = "The migration was not found."


class NotMember(NotFound):
    message = "The user is not a member of the clinic."


class DuplicateMigration(Conflict):
    message = "The user already has a migration."
    violations = (Violation("/path/clinicId", "unique"),)


class AlreadyMigrated(ConstraintViolation):
    message = "The clinic has already been migrated."
    violations = (Violation("/path/clinicId", "state"),)


class ProfileIncomplete(ConstraintViolation):
    message = "The profile of the clinic is not complete."
    violations = (Violation("/path/clinicId", "state"),)


class NotOneAdmin(ConstraintViolation):
    message = "The clinic must have exactly one administrator to be migrated."
    violations = (Violation("/path/clinicId", "state"),)


class NotLegacyAccount(ConstraintViolation):
    message = "The user does not have a legacy clinic account."
    violations = (Violation("/path/userId", "state"),)
