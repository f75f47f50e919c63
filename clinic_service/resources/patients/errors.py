"""The errors of requests about patients."""

from __future__ import annotations

from clinic_service.errors import (
    BadRequest,
    Conflict,
    ConstraintViolation,
    NotFound,
    PaymentRequired,
    Unavailable,
    Violation,
)


class PatientNotFound(NotFound):
    message = "The patient was not found."


class PermissionNotGranted(NotFound):
    message = "The patient has not granted this permission."


class NoReview(NotFound):
    message = "The patient has no review."


class NotTheReviewer(Conflict):
    message = "The latest review was made by another clinician."
    violations = (Violation("/path/patientId", "state"),)


class DuplicatePatient(Conflict):
    message = "The user is already a patient of the clinic."
    violations = (Violation("/path/patientId", "unique"),)


class NameMissing(BadRequest):
    """The name is empty. An empty name is only valid in updates of a patient whose name is not known."""

    def __init__(self) -> None:
        super().__init__(violations=[Violation("/body/fullName", "minLength", 1)])


class MrnRequired(BadRequest):
    message = "The clinic requires a medical record number."
    violations = (Violation("/body/mrn", "required"),)


class DuplicateMrn(BadRequest):
    message = "The medical record number must be unique in the clinic."
    violations = (Violation("/body/mrn", "unique"),)


class CustomRangesMissing(BadRequest):
    message = "Custom glycemic ranges must be given when their type is custom."
    violations = (Violation("/body/glycemicRanges/custom", "required"),)


class PatientLimitReached(PaymentRequired):
    message = "The clinic's plan does not allow another patient."


class AccountIsChanging(Unavailable):
    """Another change of the account is not finished. Concurrent changes could end with the older value."""

    message = "Another change of the patient's account is in progress. Try again in a minute."


class UnknownSite(ConstraintViolation):
    message = "The clinic does not have one of the sites."
    violations = (Violation("/body/sites", "exists"),)


class DataSourceNotFound(NotFound):
    message = "The patient has no data source of this provider."


class WorkspaceTypeMissing(BadRequest):
    message = "The parameter workspaceIdType is required with workspaceId."
