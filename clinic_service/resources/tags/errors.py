"""The ways in which what is asked of a tag can fail."""

from __future__ import annotations

from clinic_service.errors import Conflict, ConstraintViolation, NotFound, Violation
from clinic_service.models.site import Site
from clinic_service.models.tag import Tag


class TagNotFound(NotFound):
    message = "The tag was not found."


class DuplicateTagName(Conflict):
    message = "The clinic has a tag of this name already."
    violations = (Violation("/body/name", "unique"),)


class TagLimitReached(ConstraintViolation):
    message = "The clinic has as many tags as it may have."
    violations = (Violation("/path/clinicId", "maxItems", Tag.most_per_clinic),)


class NoRoomForSite(Conflict):
    """The tag could become a site if the clinic had one less."""

    message = "The clinic has as many sites as it may have."
    violations = (Violation("/path/clinicId", "maxItems", Site.most_per_clinic),)
