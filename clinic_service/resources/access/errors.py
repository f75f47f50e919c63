"""The errors of requests about grants."""

from __future__ import annotations

from clinic_service.errors import BadRequest, Forbidden, NotFound


class NothingGranted(NotFound):
    """There is no grant, or no such account. The answer is the same, so it does not reveal which accounts exist."""

    message = "There is no such permission."


class UnknownPermission(BadRequest):
    message = "The grant names a permission that does not exist."


class PermissionTooLarge(BadRequest):
    message = "The value of a permission holds at most 4 KiB and eight levels."


class NotYoursToWrite(Forbidden):
    message = "The caller may give up this grant, but not write it."


class NotYoursToGive(Forbidden):
    message = "Only services grant custodian and admin."
