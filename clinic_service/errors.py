"""The errors with which a request is refused, and their HTTP statuses.

ServiceError
├── BadRequest            400  malformed, or not as the spec says
├── Unauthenticated       401  no token, or a bad one
├── PaymentRequired       402  the clinic's plan does not allow it
├── Forbidden             403  known caller, not allowed
├── NotFound              404
├── Conflict              409  must be unique and is not, or the present state rules it out
├── PreconditionFailed    412  not the state that the client wants to change
├── PayloadTooLarge       413
├── UnsupportedMediaType  415
├── ConstraintViolation   422  well formed, against a rule of the clinic
├── TooManyRequests       429  more than a limit over time allows
├── NotImplementedYet     501  in the spec, not in the server; or switched off
├── BadGateway            502  another system refused or answered nonsense
└── Unavailable           503  the database or another system cannot be reached just now

Subclasses for single errors are defined beside the rule that raises them, and set `message`. The status is part of the
class because every error becomes an HTTP answer; a separate table would be a second list to maintain. A message never
contains a value of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self


class Violation(NamedTuple):
    """One place where a request does not fit: a pointer to it, the rule it breaks, and what that rule allows.

    `expected` is the bound, the list of values or the name that the spec gives for the rule; True for a rule that needs
    none, such as `required`. It never holds a value of the request.
    """

    pointer: str
    rule: str
    expected: Any = True


class ServiceError(Exception):
    """A failure that the caller is told about: its status, one fixed sentence, and the places of the request it is about.

    A class whose errors are always about the same place names it in its own `violations`.
    """

    status = 500
    message = "An unexpected error occurred."
    # Seconds after which the same request may succeed, where that is known.
    retry_after: int | None = None
    violations: tuple[Violation, ...] = ()
    # The rule that was not met, for the metrics, where the class does not say it: the names in `x-access`.
    rule = ""

    def __init__(self, message: str | None = None, violations: Sequence[Violation] = ()) -> None:
        self.message = message or type(self).message
        self.violations = tuple(violations) or type(self).violations
        super().__init__(self.message)

    @classmethod
    def at(cls, pointer: str) -> Self:
        """The error with the class's own violations, but about the place at `pointer`."""
        return cls(violations=[violation._replace(pointer=pointer) for violation in cls.violations])


class BadRequest(ServiceError):
    """The request is malformed or does not fit the spec."""

    status = 400
    message = "The request is not valid."


class Unauthenticated(ServiceError):
    """No token, or one that is not valid. The message does not say which part of it is wrong."""

    status = 401
    message = "The session token is missing or not valid."
    # How to prove who calls: the value of the header WWW-Authenticate.
    challenge = 'ApiKey realm="clinic-service", header="X-Tidepool-Session-Token"'


class PaymentRequired(ServiceError):
    """A limit of the clinic's plan has been reached."""

    status = 402
    message = "The plan of the clinic does not allow this."


class Forbidden(ServiceError):
    """The caller is known and may not do this. The message does not name the missing role."""

    status = 403
    message = "The caller may not perform this operation."


class NotFound(ServiceError):
    """Something the request names does not exist."""

    status = 404
    message = "Not found."


class Conflict(ServiceError):
    """Something that must be unique exists already, or the present state rules the change out."""

    status = 409
    message = "The request conflicts with the present state."


class PreconditionFailed(ServiceError):
    """The present state is none of those that the client wants to change."""

    status = 412
    message = "The state has changed since it was read."


class NoEntityTag(PreconditionFailed):
    """The request demands a state of an operation that compares none."""

    message = "This operation has no entity tag to compare with."


class PayloadTooLarge(ServiceError):
    """The body is larger than the operation takes."""

    status = 413
    message = "The request body is too large."


class UnsupportedMediaType(ServiceError):
    """The body is not UTF-8 JSON, or does not say that it is."""

    status = 415
    message = "The request body must be application/json in UTF-8."


class ConstraintViolation(ServiceError):
    """Well formed, against a rule of the clinic."""

    status = 422
    message = "The request breaks a rule of the clinic."


class TooManyRequests(ServiceError):
    """More than a limit over time allows; `retry_after` says when the next request is allowed."""

    status = 429
    message = "There were too many requests of this kind."


class NotImplementedYet(ServiceError):
    """The spec describes the operation and this server does not carry it out (yet)."""

    status = 501
    message = "The operation is not implemented by this server."


class BadGateway(ServiceError):
    """Another system refused, or gave an answer that cannot be used."""

    status = 502
    message = "Another service gave no usable answer."


class Unavailable(ServiceError):
    """The database or another system cannot be reached just now; the same request may succeed later."""

    status = 503
    message = "The service is temporarily unavailable."
    retry_after = 1
