"""The errors of requests about grants."""

from __future__ import annotations

from clinic_service.errors import BadRequest, Forbidden, NotFound


class NothingGranted(NotFound):
    """There is no grant, or no such account. The answer is the same, so it does not reveal which accounts exist."""

    message = "There is no such permission."


class UnknownPermission(BadRequest):
    message = "The grant names a permission that does not exist."


class PermissionTooLarge(BadRequest):
    message = "The value of a permission may have at most 4 KiB and eight levels of nesting."


class NotYoursToWrite(Forbidden):
    message = "The caller may remove this grant by an empty body, but not change it."


class NotYoursToGive(Forbidden):
    message = "Only backend services may grant the permissions custodian and admin."
