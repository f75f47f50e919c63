"""The errors of requests about tags."""

from __future__ import annotations

from clinic_service.errors import Conflict, NotFound, Violation
from clinic_service.models import Site
from clinic_service.resources.labels.errors import DuplicateName, LabelLimitReached


class TagNotFound(NotFound):
    message = "The tag was not found."


class DuplicateTagName(DuplicateName):
    message = "The clinic has a tag of this name already."


class TagLimitReached(LabelLimitReached):
    message = "The clinic has as many tags as it may have."


class SiteLimitReached(Conflict):
    """The tag cannot become a site, because the clinic already has the maximum number of sites."""

    message = "The clinic has as many sites as it may have."
    violations = (Violation("/path/clinicId", "maxItems", Site.most_per_clinic),)
