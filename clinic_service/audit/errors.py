"""The errors of the audit trail."""

from clinic_service.errors import Unavailable


class AuditUnavailable(Unavailable):
    """The record of a request cannot be written, so its answer is not sent."""

    message = "The request cannot be recorded, so it is not answered."
