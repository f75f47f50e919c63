"""The ways in which what is asked of a migration can fail."""

from __future__ import annotations

from clinic_service.errors import Conflict, ConstraintViolation, NotFound


class MigrationNotFound(NotFound):
    message = "The migration was not found."


class NotMember(NotFound):
    message = "The user is not a member of the clinic."


class DuplicateMigration(Conflict):
    message = "The user has a migration already."


class AlreadyMigrated(ConstraintViolation):
    message = "The clinic has been migrated already."


class ProfileIncomplete(ConstraintViolation):
    message = "The profile of the clinic is not complete."


class NotOneAdmin(ConstraintViolation):
    message = "The clinic must have exactly one administrator to be migrated."


class NotLegacyAccount(ConstraintViolation):
    message = "The user does not have a legacy clinic account."
