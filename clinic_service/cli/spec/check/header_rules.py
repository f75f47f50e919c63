"""Rules about headers: operations of the same kind declare the same headers."""

from __future__ import annotations

from clinic_service.cli.spec.check.findings import Faults
from clinic_service.specification.apis import Api, Operation


def header_faults(api: Api, operation: Operation) -> Faults:
    """The headers that the operation should declare and does not, and the other way round."""
    yield from _links(api, operation)


def _links(api: Api, operation: Operation) -> Faults:
    """A list in pages declares `Link`, and no other operation does."""
    query = {parameter["name"] for _, parameter in api.parameters(operation) if parameter["in"] == "query"}
    for status, node in operation.definition["responses"].items():
        is_page = {"limit", "offset"} <= query and status.startswith("2")
        if is_page != ("Link" in api.resolved(node).get("headers", {})):
            place = operation.place / "responses" / status
            yield place, f"{operation.operation_id}: the header Link belongs to the success of a list in pages"
