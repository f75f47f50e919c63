"""The errors of requests about labels. Each kind of label has its own messages."""

from __future__ import annotations

from clinic_service.errors import Conflict, ConstraintViolation, Violation
from clinic_service.models.label import Label


class DuplicateName(Conflict):
    """Another label of the clinic has the name."""

    violations = (Violation("/body/name", "unique"),)


class LabelLimitReached(ConstraintViolation):
    """The clinic already has the maximum number of labels of this kind."""

    violations = (Violation("/path/clinicId", "maxItems", Label.most_per_clinic),)
