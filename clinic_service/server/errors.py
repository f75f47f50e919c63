"""The errors with which the server itself refuses requests, before they reach an operation."""

from __future__ import annotations

from clinic_service.errors import BadRequest, ServiceError, Unavailable


class InvalidHttp(BadRequest):
    """The bytes are not an HTTP request, or the end of the request is ambiguous."""

    message = "The request is not valid HTTP."


class BodyEndedEarly(BadRequest):
    """The client closed its side before it had sent the whole request."""

    message = "The request ended early."


class RequestTimeout(ServiceError):
    """The request did not arrive in time."""

    status = 408
    message = "The request did not arrive in time."


class TargetTooLong(ServiceError):
    """Path and query are longer than the server accepts."""

    status = 414
    message = "The address is too long."


class HeadersTooLarge(ServiceError):
    """The headers are longer or more than the server accepts."""

    status = 431
    message = "The request headers are too large."


class Overloaded(Unavailable):
    """The process has the maximum number of requests, or of bytes in memory for clients."""

    message = "The server has too many requests just now."


class Stopping(Unavailable):
    """The request was not complete when the server was asked to stop."""

    message = "The server is stopping."
