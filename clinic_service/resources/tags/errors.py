"""The errors of requests about tags."""

from __future__ import annotations

from clinic_service.errors import Conflict, NotFound, Violation
from clinic_service.models import Site
from clinic_service.resources.labels.errors import DuplicateName, LabelLimitReached


class TagNotFound(NotFound):
    message = "The tag was not found."


class DuplicateTagName(DuplicateName):
    message = "The clinic already has a tag with this name."


class TagLimitReached(LabelLimitReached):
    message = "The clinic already has the maximum number of tags."


class ConversionSiteLimitReached(Conflict):
    """The tag cannot become a site, because the clinic already has the maximum number of sites."""

    message = "The clinic already has the maximum number of sites."
    violations = (Violation("/path/clinicId", "maxItems", Site.most_per_clinic),)
