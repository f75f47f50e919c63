"""The ways in which what is asked of a site can fail."""

from __future__ import annotations

from clinic_service.errors import BadRequest, Conflict, ConstraintViolation, NotFound, Violation
from clinic_service.models.site import Site


class SiteNotFound(NotFound):
    message = "The site was not found."


class DuplicateSiteName(Conflict):
    message = "The clinic has a site of this name already."
    violations = (Violation("/body/name", "unique"),)


class SiteLimitReached(ConstraintViolation):
    message = "The clinic has as many sites as it may have."
    violations = (Violation("/path/clinicId", "maxItems", Site.most_per_clinic),)


class SameSite(BadRequest):
    message = "A site cannot be merged into itself."
    violations = (Violation("/body/id", "state"),)
