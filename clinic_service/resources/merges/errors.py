"""The errors of requests about merges."""

from __future__ import annotations

from collections.abc import Iterable

from clinic_service.errors import BadRequest, NotFound, Violation
from clinic_service.resources.merges.plan import Block

_SOURCE = "/body/sourceId"


class SameClinic(BadRequest):
    message = "A clinic cannot be merged into itself."
    violations = (Violation(_SOURCE, "state"),)


class SourceNotFound(NotFound):
    message = "The source clinic was not found."


class TargetNotFound(NotFound):
    message = "The target clinic was not found."


class MergeBlocked(BadRequest):
    """The merge is ruled out. The message gives all reasons; `expected` of each violation is the code of one reason."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        reasons = list(dict.fromkeys(blocks))
        codes = dict.fromkeys(block.code.value for block in reasons)
        super().__init__(
            " ".join(["The clinics cannot be merged.", *(block.message for block in reasons)]),
            [Violation(_SOURCE, "state", code) for code in codes],
        )
