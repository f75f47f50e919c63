"""The errors of requests about sites."""

from __future__ import annotations

from clinic_service.errors import BadRequest, NotFound, Violation
from clinic_service.resources.labels.errors import DuplicateName, LabelLimitReached


class SiteNotFound(NotFound):
    message = "The site was not found."


class DuplicateSiteName(DuplicateName):
    message = "The clinic already has a site with this name."


class SiteLimitReached(LabelLimitReached):
    message = "The clinic already has the maximum number of sites."


class SameSite(BadRequest):
    message = "A site cannot be merged into itself."
    violations = (Violation("/body/id", "state"),)
