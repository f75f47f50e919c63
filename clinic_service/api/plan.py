"""Plan: everything about one operation that can be settled before a request arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.api.bodies import DEFAULT_LIMIT
from clinic_service.api.operations import Handler
from clinic_service.api.parameters import Parameters, PlanError, compile_parameters, snake_case
from clinic_service.api.validation import Validator, Validators
from clinic_service.auth.rules import Access, compile_access
from clinic_service.specification.apis import Api, Operation

JSON = "application/json"


@dataclass(frozen=True)
class Plan:
    """How one operation is carried out; `handler` is None for an operation that is only described so far."""

    operation_id: str
    access: Access
    parameters: Parameters
    body: Validator | None
    body_required: bool
    body_limit: int
    answers: Mapping[int, Validator | None]
    default_status: int
    writes: bool
    handler: Handler | None
    passes_query: bool

    def check_answer(self, status: int, body: Any) -> bool:
        """Whether the spec declares `status` for this operation, and `body` fits what it says of it."""
        if status not in self.answers:
            return False
        validator = self.answers[status]
        return body is None if validator is None else validator.is_valid(body)


def compile_plan(api: Api, operation: Operation, validators: Validators, handler: Handler | None) -> Plan:
    """The plan of `operation`. Raises PlanError when spec and handler do not fit together, or the spec makes no sense."""
    try:
        return _compile(api, operation, validators, handler)
    except (ValueError, KeyError, PlanError) as error:
        # A schema or a pattern that the validator cannot compile is a ValueError, and so is an access rule.
        raise PlanError(f"{operation.operation_id}: {error}") from None


def _compile(api: Api, operation: Operation, validators: Validators, handler: Handler | None) -> Plan:
    definition = operation.definition
    access = compile_access(definition.get("x-access"), operation.path)
    parameters = compile_parameters(api, definition, validators)
    request_body = api.resolved(definition["requestBody"]) if "requestBody" in definition else None
    answers = _answers(api, definition, validators)
    if handler:
        _require_fitting(parameters, handler, has_body=request_body is not None)
    return Plan(
        operation_id=operation.operation_id,
        access=access,
        parameters=parameters,
        body=validators.request(request_body["content"][JSON]["schema"]) if request_body else None,
        body_required=bool(request_body and request_body.get("required")),
        body_limit=definition.get("x-max-body-bytes", DEFAULT_LIMIT),
        answers=answers,
        default_status=min(answers),
        # A GET whose answer rests on something that has to be stored first says so.
        writes=operation.method != "get" or definition.get("x-writes") is True,
        handler=handler,
        passes_query=bool(handler and "query" in handler.accepts),
    )


def _answers(api: Api, definition: Mapping[str, Any], validators: Validators) -> dict[int, Validator | None]:
    answers: dict[int, Validator | None] = {}
    for status, node in definition["responses"].items():
        if status.startswith("2"):
            content = api.resolved(node).get("content", {})
            answers[int(status)] = validators.response(content[JSON]["schema"]) if JSON in content else None
    if not answers:
        raise PlanError("no success response")
    return answers


def _require_fitting(parameters: Parameters, handler: Handler, *, has_body: bool) -> None:
    """Refuse a handler that ignores a parameter of its operation, or asks for one that the operation does not have."""
    offered = {p.argument for p in parameters.path} | {snake_case(name) for name in parameters.query}
    offered |= {"body"} if has_body else set()
    offered |= {"prepared"} if handler.prepare else set()
    wanted = set(handler.accepts)
    if "query" in wanted:
        wanted = (wanted - {"query"}) | {snake_case(name) for name in parameters.query}
    if offered != wanted:
        difference = ", ".join(sorted(offered ^ wanted))
        raise PlanError(f"spec and handler differ in {difference}")
