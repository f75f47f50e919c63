"""`spec access`: who may call which operation."""

from __future__ import annotations

from clinic_service.specification.apis import Api, Operation


def access(apis: list[Api]) -> list[tuple[str, str, str, str]]:
    """(operationId, method, path, access rules joined by *or*) of every operation, in the order of the spec."""
    return [(o.operation_id, o.method.upper(), o.path, _rules(o)) for api in apis for o in api.operations]


def _rules(operation: Operation) -> str:
    # Anything else than a list is a finding of `spec check`.
    rules = operation.definition.get("x-access")
    return " or ".join(map(str, rules)) if isinstance(rules, list) else ""
