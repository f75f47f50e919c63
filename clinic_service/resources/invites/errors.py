"""The errors of requests about invitations."""

from __future__ import annotations

from clinic_service.errors import Conflict, ConstraintViolation, Forbidden, NotFound, Violation


class InviteNotFound(NotFound):
    message = "The invitation was not found."


class InvitedClinicianNotFound(NotFound):
    message = "The invited clinician was not found."


class InviteNotPending(Forbidden):
    message = "The invitation cannot be answered any more."


class NotAdmitted(Forbidden):
    message = "The membership restrictions of the clinic do not admit the caller."


class AlreadyMember(Conflict):
    message = "The user is already a member of the clinic."
    violations = (Violation("/path/userId", "unique"),)


class AlreadyPatient(Conflict):
    message = "The user is already a patient of the clinic."
    violations = (Violation("/body/shareCode", "unique"),)


class DuplicateOffer(Conflict):
    message = "The user has already offered access to the clinic, and the offer is still pending."
    violations = (Violation("/body/shareCode", "unique"),)


class InviteLimitReached(ConstraintViolation):
    message = "The clinic or the person has as many pending invitations as the limit allows."
    violations = (Violation("/path/clinicId", "maxItems"),)
