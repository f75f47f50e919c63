"""Plan: everything about one operation that can be computed before a request arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from clinic_service.api.audit_rules import AuditRule, compile_audit
from clinic_service.api.bodies import ABSENT, DEFAULT_LIMIT, decode_json, read_body, require_json, require_uncompressed
from clinic_service.api.operations import Handler
from clinic_service.api.parameters import Parameters, PlanError, compile_parameters, snake_case
from clinic_service.api.validation import Validator, Validators
from clinic_service.auth.rules import Access, compile_access
from clinic_service.context import Answer
from clinic_service.errors import BadRequest, Violation
from clinic_service.specification.apis import Api, Operation

JSON = "application/json"


@dataclass(frozen=True)
class DeclaredAnswer:
    """The declaration of one status in the spec: media types, each with the check of its bodies, and header names.

    Without a media type there is no body. Only JSON is checked against a schema; other media types have no check.
    """

    media_types: Mapping[str, Validator | None]
    headers: frozenset[str]

    def fits(self, answer: Answer) -> bool:
        """Whether `answer` has a declared media type, a body that fits it, and declared headers."""
        if not self.media_types:
            fits = answer.body is None
        else:
            validator = self.media_types.get(answer.media_type)
            fits = validator.is_valid(answer.body) if validator else answer.media_type in self.media_types
        return fits and all(name in self.headers for name, _ in answer.headers)


class Body(NamedTuple):
    """A decoded body: its value (ABSENT without a body), its bytes, and its validator (None: it is not validated)."""

    value: Any
    raw: bytes
    validator: Validator | None


@dataclass(frozen=True)
class BodyPlan:
    """How the body of a request is read. `limit` is its maximum length in bytes.

    `passes_text`: the handler gets the text as it was sent as well. `any_content_type`: the body is read as JSON whatever
    the header Content-Type says.
    """

    validator: Validator
    required: bool
    limit: int
    passes_text: bool
    any_content_type: bool

    def decode(self, environ: dict[str, Any]) -> Body:
        """The body as it was sent, not validated yet. Raises BadRequest, PayloadTooLarge and UnsupportedMediaType."""
        raw = read_body(environ, self.limit)
        if raw.strip() and not self.any_content_type:
            require_json(environ.get("CONTENT_TYPE", ""))
            require_uncompressed(environ.get("HTTP_CONTENT_ENCODING", ""))
        return Body(decode_json(raw), raw, self.validator)

    def arguments(self, body: Body) -> dict[str, Any]:
        """The arguments of the handler from a decoded body. An absent optional body is None. Raises BadRequest."""
        value = body.value
        if value is ABSENT:
            if self.required:
                raise BadRequest("A request body is required.", [Violation("/body", "required")])
            value = None
        elif body.validator and not body.validator.is_valid(value):
            raise BadRequest(violations=body.validator.violations(value, "/body"))
        return {"body": value, "body_text": body.raw.decode()} if self.passes_text else {"body": value}


@dataclass(frozen=True)
class Plan:
    """How one operation is carried out; `handler` is None for an operation that is described but not implemented."""

    operation_id: str
    access: Access
    parameters: Parameters
    body: BodyPlan | None
    answers: Mapping[int, DeclaredAnswer]
    default_status: int
    # The time that the operation has, for one that may take longer than other requests; None for the usual time.
    seconds: int | None
    writes: bool
    handler: Handler | None
    passes_query: bool
    audit: AuditRule
    # The operation that shows what this one changes, for one that takes If-Match.
    shown_by: str | None = None
    # Whether it declares the header Idempotency-Key, and one of the headers If-Match and If-None-Match.
    takes_key: bool = False
    takes_conditions: bool = False

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types of a success, in the order of the spec."""
        return tuple(self.answers[self.default_status].media_types)

    def has_tag(self, status: int) -> bool:
        """Whether the answer with this status has an entity tag."""
        declared = self.answers.get(status)
        return declared is not None and "ETag" in declared.headers

    def check_answer(self, answer: Answer) -> bool:
        """Whether the spec declares the status of `answer`, and the rest of `answer` fits that declaration."""
        declared = self.answers.get(answer.status)
        return declared is not None and declared.fits(answer)


def takes_key(api: Api, operation: Operation) -> bool:
    """Whether `operation` declares the header `Idempotency-Key`."""
    return "Idempotency-Key" in _headers(api, operation)


def takes_conditions(api: Api, operation: Operation) -> bool:
    """Whether `operation` declares one of the headers `If-Match` and `If-None-Match`."""
    return not _headers(api, operation).isdisjoint(("If-Match", "If-None-Match"))


def compile_plan(api: Api, operation: Operation, validators: Validators, handler: Handler | None) -> Plan:
    """The plan of `operation`. Raises PlanError for a fault of the spec, and when spec and handler do not fit together."""
    try:
        return _compile(api, operation, validators, handler)
    except (ValueError, KeyError, PlanError) as error:
        # A schema or a pattern that the validator cannot compile is a ValueError, and so is an access rule.
        raise PlanError(f"{operation.operation_id}: {error}") from None


def _compile(api: Api, operation: Operation, validators: Validators, handler: Handler | None) -> Plan:
    definition = operation.definition
    plan = Plan(
        operation_id=operation.operation_id,
        access=compile_access(definition.get("x-access"), operation.path, operation.schemes),
        parameters=compile_parameters(api, definition, validators),
        body=_body(api, definition, validators, handler),
        answers=(answers := _answers(api, definition, validators)),
        default_status=min(answers),
        seconds=definition.get("x-max-seconds"),
        writes=may_write(operation),
        handler=handler,
        passes_query=_names(handler, "query"),
        audit=compile_audit(api, operation.path, definition),
        shown_by=_shown_by(api, operation),
        takes_key=takes_key(api, operation),
        takes_conditions=takes_conditions(api, operation),
    )
    if handler:
        _require_fitting(plan, handler)
    return plan


def may_write(operation: Operation) -> bool:
    """Whether the operation may store something: by its method, unless `x-writes` in the spec tells otherwise."""
    says: bool | None = operation.definition.get("x-writes")
    return operation.method != "get" if says is None else says


def _shown_by(api: Api, operation: Operation) -> str | None:
    """The GET at the address of an operation that takes If-Match; None for another operation."""
    if "If-Match" not in _headers(api, operation):
        return None
    get = api.document["paths"][operation.path].get("get")
    if get is None:
        raise PlanError("If-Match needs a GET at the same address, which shows what is changed")
    return str(get["operationId"])


def _headers(api: Api, operation: Operation) -> set[str]:
    """The headers that the operation takes."""
    declared = map(api.resolved, operation.definition.get("parameters", []))
    return {node["name"] for node in declared if node["in"] == "header"}


def _names(handler: Handler | None, argument: str) -> bool:
    return handler is not None and argument in handler.accepts


def _body(api: Api, definition: Mapping[str, Any], validators: Validators, handler: Handler | None) -> BodyPlan | None:
    if "requestBody" not in definition:
        return None
    described = api.resolved(definition["requestBody"])
    return BodyPlan(
        validator=validators.request(described["content"][JSON]["schema"]),
        required=bool(described.get("required")),
        limit=definition.get("x-max-body-bytes", DEFAULT_LIMIT),
        passes_text=_names(handler, "body_text"),
        any_content_type=definition.get("x-any-content-type") is True,
    )


def _answers(api: Api, definition: Mapping[str, Any], validators: Validators) -> dict[int, DeclaredAnswer]:
    answers = {
        int(status): _declared(api.resolved(node), validators)
        for status, node in definition["responses"].items()
        if status.startswith("2")
    }
    if not answers:
        raise PlanError("no success response")
    return answers


def _declared(response: Mapping[str, Any], validators: Validators) -> DeclaredAnswer:
    media_types = {
        media_type: validators.response(content["schema"]) if media_type == JSON else None
        for media_type, content in response.get("content", {}).items()
    }
    return DeclaredAnswer(media_types, frozenset(response.get("headers", {})))


def _require_fitting(plan: Plan, handler: Handler) -> None:
    """Refuse a handler that ignores a parameter of its operation, or asks for one that the operation does not have."""
    query = {snake_case(name) for name in plan.parameters.query}
    offered = {p.argument for p in plan.parameters.path} | query
    offered |= {"body"} if plan.body else set()
    offered |= {"body_text"} if plan.body and plan.body.passes_text else set()
    # A handler that can answer in several media types gets the wanted media type.
    offered |= {"media_type"} if len(plan.media_types) > 1 else set()
    wanted = set(handler.accepts)
    if plan.passes_query:
        wanted = (wanted - {"query"}) | query
    if offered != wanted:
        difference = ", ".join(sorted(offered ^ wanted))
        raise PlanError(f"spec and handler differ in {difference}")
