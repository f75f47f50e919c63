"""`spec access`: who may call which operation."""

from __future__ import annotations

from clinic_service.specification.apis import Api


def access(apis: list[Api]) -> list[tuple[str, str, str, str]]:
    """(operationId, method, path, access rules joined by *or*) of every operation, in the order of the spec."""
    return [
        (o.operation_id, o.method.upper(), o.path, " or ".join(o.definition.get("x-access", [])))
        for api in apis
        for o in api.operations
    ]
