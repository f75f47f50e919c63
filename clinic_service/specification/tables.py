"""What an editor may ask of the spec: which operations are carried out, and who may call which."""

from __future__ import annotations

from typing import NamedTuple

from clinic_service.api.operations import find_handlers
from clinic_service.specification.apis import Api


class Coverage(NamedTuple):
    """One operation, and whether this server carries it out or answers 501."""

    api: str
    operation_id: str
    method: str
    path: str
    implemented: bool


def coverage(apis: list[Api]) -> list[Coverage]:
    """Every operation, in the order of the spec."""
    operations = [operation for api in apis for operation in api.operations]
    handlers = find_handlers(operations)
    return [Coverage(o.api, o.operation_id, o.method.upper(), o.path, o.operation_id in handlers) for o in operations]


def access(apis: list[Api]) -> list[tuple[str, str, str, str]]:
    """(operationId, method, path, rules joined by *or*) of every operation."""
    return [
        (o.operation_id, o.method.upper(), o.path, " or ".join(o.definition.get("x-access", [])))
        for api in apis
        for o in api.operations
    ]
