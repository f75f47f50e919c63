"""`spec coverage`: which operations of the spec are implemented."""

from __future__ import annotations

from typing import NamedTuple

from clinic_service.api.operations import match_handlers
from clinic_service.specification.apis import Api


class Coverage(NamedTuple):
    """One operation, and whether this server implements it; if not, it answers 501."""

    api: str
    operation_id: str
    method: str
    path: str
    implemented: bool


def coverage(apis: list[Api]) -> list[Coverage]:
    """The coverage of every operation, in the order of the spec."""
    operations = [operation for api in apis for operation in api.operations]
    # A handler without an operation is a finding of `spec check`.
    handlers, _ = match_handlers(operations)
    return [Coverage(o.api, o.operation_id, o.method.upper(), o.path, o.operation_id in handlers) for o in operations]
