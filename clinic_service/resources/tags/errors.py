"""The ways in which what is asked of a tag can fail."""

from __future__ import annotations

from clinic_service.errors import Conflict, ConstraintViolation, NotFound


class TagNotFound(NotFound):
    message = "The tag was not found."


class DuplicateTagName(Conflict):
    message = "The clinic has a tag of this name already."


class TagLimitReached(ConstraintViolation):
    message = "The clinic has as many tags as it may have."


class NoRoomForSite(Conflict):
    """The tag could become a site if the clinic had one less."""

    message = "The clinic has as many sites as it may have."
