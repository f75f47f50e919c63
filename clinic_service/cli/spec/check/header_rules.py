"""Rules about headers: operations of the same kind declare the same headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clinic_service.api.plan import JSON, may_write
from clinic_service.cli.spec.check.findings import Faults
from clinic_service.specification.apis import Api, Operation

_CHANGES = ("put", "patch", "delete")
_LIMITS = ("Retry-After", "RateLimit", "RateLimit-Policy")


def header_faults(api: Api) -> Faults:
    """The headers that operations should declare and do not, and those that they declare and should not."""
    shown = _shown_schemas(api)
    for operation in api.operations:
        yield from _links(api, operation)
        yield from _tags(api, operation, shown)
        yield from _conditions(api, operation)
        yield from _keys(api, operation)
        yield from _limits(api, operation)


def _links(api: Api, operation: Operation) -> Faults:
    """A list in pages declares `Link`, and no other operation does."""
    query = {parameter["name"] for _, parameter in api.parameters(operation) if parameter["in"] == "query"}
    for status, answer in _answers(api, operation):
        is_page = {"limit", "offset"} <= query and status.startswith("2")
        if is_page != ("Link" in answer.get("headers", {})):
            place = operation.place / "responses" / status
            yield place, f"{operation.operation_id}: the header Link belongs to the success of a list in pages"


def _tags(api: Api, operation: Operation, shown: set[str]) -> Faults:
    """The success of a GET that answers one object declares `ETag`, and so does a change that answers the same object."""
    for status, answer in _answers(api, operation):
        schema = _schema(answer) if status.startswith("2") else None
        if operation.method == "get":
            has_tag = schema is not None and _is_object(api, answer)
        else:
            has_tag = operation.method != "delete" and schema is not None and schema.get("$ref") in shown
        if status != "304" and has_tag != ("ETag" in answer.get("headers", {})):
            place = operation.place / "responses" / status
            yield (
                place,
                f"{operation.operation_id}: the header ETag belongs to a success that shows the state of one object",
            )


def _conditions(api: Api, operation: Operation) -> Faults:
    """An operation on an object with an entity tag declares the conditional header and its answer; all others do not."""
    sent = {parameter["name"] for _, parameter in api.parameters(operation) if parameter["in"] == "header"}
    statuses, is_shown = operation.definition["responses"].keys(), _is_shown(api, operation)
    expected = {
        "If-None-Match": ("304", operation.method == "get" and is_shown),
        "If-Match": ("412", operation.method in _CHANGES and is_shown),
    }
    for header, (status, is_expected) in expected.items():
        if {header in sent, status in statuses} != {is_expected}:
            word = "must" if is_expected else "must not"
            yield (
                operation.place,
                f"{operation.operation_id} {word} declare the parameter {header} and the status {status}",
            )


def _keys(api: Api, operation: Operation) -> Faults:
    """A POST that writes declares an Idempotency-Key and the answers to it; all other operations do not."""
    sent = {parameter["name"] for _, parameter in api.parameters(operation) if parameter["in"] == "header"}
    responses = operation.definition["responses"]
    declared = {"Idempotency-Key" in sent}
    declared |= {"Idempotent-Replayed" in node.get("headers", {}) for _, node in _answers(api, operation)}
    takes_key = operation.method == "post" and may_write(operation)
    if declared != {takes_key} or (takes_key and not {"409", "422"} <= responses.keys()):
        required = "must declare the parameter Idempotency-Key, the header Idempotent-Replayed, and 409 and 422"
        forbidden = "must not declare the parameter Idempotency-Key and the header Idempotent-Replayed"
        yield operation.place, f"{operation.operation_id} {required if takes_key else forbidden}"


def _limits(api: Api, operation: Operation) -> Faults:
    """The answer 429 declares the headers that tell when the next request is allowed, and what the limit is."""
    answer = operation.definition["responses"].get("429")
    missing = [name for name in _LIMITS if name not in api.resolved(answer).get("headers", {})] if answer else []
    if missing:
        place = operation.place / "responses" / "429"
        yield place, f"{operation.operation_id}: the answer 429 must declare the headers {', '.join(missing)}"


def _is_shown(api: Api, operation: Operation) -> bool:
    """Whether a GET at the address of the operation shows one object."""
    get = api.document["paths"][operation.path].get("get")
    return get is not None and any(
        status.startswith("2") and _is_object(api, api.resolved(node)) for status, node in get["responses"].items()
    )


def _shown_schemas(api: Api) -> set[str]:
    """References to the schemas of the objects that a GET shows."""
    return {
        str(schema["$ref"])
        for operation in api.operations
        if operation.method == "get"
        for _, answer in _answers(api, operation)
        if (schema := _schema(answer)) and "$ref" in schema and _is_object(api, answer)
    }


def _answers(api: Api, operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, node in operation.definition["responses"].items():
        if status[0] in "23":
            yield status, api.resolved(node)


def _is_object(api: Api, answer: dict[str, Any]) -> bool:
    """Whether the body is one object, and no page of a list."""
    schema = _schema(answer)
    return (
        schema is not None and api.resolved(schema).get("type") == "object" and "Link" not in answer.get("headers", {})
    )


def _schema(answer: dict[str, Any]) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = answer.get("content", {}).get(JSON, {}).get("schema")
    return schema
