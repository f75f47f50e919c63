"""What the server refuses by itself, before an operation sees it."""

from __future__ import annotations

from clinic_service.errors import BadRequest, ServiceError, Unavailable


class InvalidHttp(BadRequest):
    """The bytes are no HTTP request, or one whose end is ambiguous."""

    message = "The request is not valid HTTP."


class BodyEndedEarly(BadRequest):
    """The client closed its side before it had sent what it announced."""

    message = "The request ended early."


class RequestTimeout(ServiceError):
    """The request did not arrive in time."""

    status = 408
    message = "The request did not arrive in time."


class TargetTooLong(ServiceError):
    """Path and query are longer than the server reads."""

    status = 414
    message = "The address is too long."


class HeadersTooLarge(ServiceError):
    """There are more headers, or longer ones, than the server reads."""

    status = 431
    message = "The request headers are too large."


class Overloaded(Unavailable):
    """The process has as many requests as it takes in, or holds as many bytes for its clients as it may."""

    message = "The server has too many requests just now."


class Stopping(Unavailable):
    """The request was not complete when the server was asked to stop."""

    message = "The server is stopping."
