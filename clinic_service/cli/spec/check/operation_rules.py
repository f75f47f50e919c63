"""Rules about operations: the members they need, the refusals they must declare, and examples that fit their schemas."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from clinic_service.api.audit_rules import AuditRuleError, compile_audit
from clinic_service.api.parameters import PlanError
from clinic_service.api.plan import JSON, compile_plan
from clinic_service.api.validation import Validator, Validators
from clinic_service.auth.rules import AccessRuleError, compile_access
from clinic_service.cli.spec.check.findings import Faults
from clinic_service.cli.spec.check.header_rules import header_faults
from clinic_service.cli.spec.check.schema_rules import misfits
from clinic_service.specification.apis import Api, Operation
from clinic_service.specification.source import Place, Source

_OPERATION_ID = re.compile(r"([A-Z][a-z0-9]*)+")
_STATUS = re.compile(r"[2-5][0-9]{2}|default")
_URL_PARAMETER = re.compile(r"\{([^}]*)\}")
_VERSION = "3.0.3"
# The statuses that are neither a success nor a failure.
_WITHOUT_ERROR = ("304",)
_ERROR_SCHEMA = {"$ref": "#/components/schemas/error.v1"}


def operation_faults(
    source: Source, apis: list[Api], validators: Mapping[str, Validators], damaged: Collection[Place]
) -> Faults:
    """The faults of the operations of both APIs, their tags and their URLs.

    `validators` are found by the names of the APIs. `damaged` are the places of operations that could not be read
    completely: only their own members are checked.
    """
    seen: dict[str, Operation] = {}
    for api in apis:
        if api.document["info"]["version"] != apis[0].document["info"]["version"]:
            yield api.bundle.root / "info" / "version", "both root files must carry the same version"
        if api.document["openapi"] != _VERSION:
            yield api.bundle.root / "openapi", f"the version must be OpenAPI {_VERSION}"
        yield from _tags(api)
        yield from _urls(source, api)
        yield from header_faults(api)
        for operation in api.operations:
            yield from _name(operation, seen.setdefault(operation.operation_id, operation))
            missing = list(_missing_members(operation))
            yield from missing
            if operation.place not in damaged:
                yield from _of_operation(api, operation, validators[api.name], is_complete=not missing)


def _of_operation(api: Api, operation: Operation, validators: Validators, *, is_complete: bool) -> Faults:
    faults = [
        *_members(api, operation),
        *_statuses(api, operation),
        *_media(api, operation, validators),
    ]
    yield from faults
    if is_complete and not faults:
        try:
            compile_plan(api, operation, validators, None)
        except PlanError as error:
            yield operation.place, str(error)


def _tags(api: Api) -> Faults:
    declared = [tag["name"] for tag in api.document.get("tags", [])]
    used = set()
    for operation in api.operations:
        tags = operation.definition.get("tags", [])
        used |= set(tags)
        if len(tags) > 1:
            yield operation.place / "tags", f"{operation.operation_id} has more than one tag"
        for index, tag in enumerate(tags):
            if tag not in declared:
                yield operation.place / "tags" / index, f"the tag {tag!r} is not declared in {api.name}.yaml"
    for index, name in enumerate(declared):
        if name not in used and api.bundle.has_all_operations:
            yield api.bundle.root / "tags" / index, f"no operation has the tag {name!r}"


def _urls(source: Source, api: Api) -> Faults:
    """The line above the key of a path item must be a comment with the URL."""
    for url in api.document["paths"]:
        place = api.bundle.places["paths", url]
        if place.file != api.bundle.root.file:
            above = source.text(place.file).splitlines()[source.line(place) - 2]
            if above.strip() != f"# {url}":
                yield place, f"the comment above must be the URL, # {url}"


def _name(operation: Operation, first: Operation) -> Faults:
    place = operation.place / "operationId"
    if first is not operation:
        yield place, f"the operationId {operation.operation_id!r} occurs twice, also in {first.place.file.name}"
    elif "operationId" in operation.definition and not _OPERATION_ID.fullmatch(operation.operation_id):
        yield place, f"the operationId {operation.operation_id!r} is not in PascalCase"


def _missing_members(operation: Operation) -> Faults:
    for member in ("operationId", "summary", "description", "tags", "x-access", "x-audit"):
        if not operation.definition.get(member):
            yield operation.place, f"{operation.operation_id} has no {member}"


def _members(api: Api, operation: Operation) -> Faults:
    definition, place, name = operation.definition, operation.place, operation.operation_id
    for here, parameter in api.parameters(operation):
        for member in ("description", "schema"):
            if not parameter.get(member):
                yield here, f"the parameter {parameter['name']!r} has no {member}"
    declared = {parameter["name"] for _, parameter in api.parameters(operation) if parameter["in"] == "path"}
    if declared != set(_URL_PARAMETER.findall(operation.path)):
        yield operation.url_place, f"{name}: the URL {operation.path} and the parameters in path differ"
    if "x-access" in definition:
        try:
            compile_access(definition["x-access"], operation.path, operation.schemes)
        except AccessRuleError as error:
            yield place / "x-access", f"{name}: {error}"
    if "x-audit" in definition:
        try:
            compile_audit(api, operation.path, definition)
        except AuditRuleError as error:
            yield place / "x-audit", f"{name}: {error}"
    if "x-writes" in definition and definition["x-writes"] is not (operation.method == "get"):
        yield place / "x-writes", f"{name}: x-writes must be true on a GET, false on another method, or absent"
    body = api.resolved(definition.get("requestBody", {}))
    if body and not body.get("required") and not body.get("description"):
        yield place / "requestBody", f"{name}: an optional body needs a description that says what its absence means"


def _statuses(api: Api, operation: Operation) -> Faults:
    """Each refusal that the operation can answer must be declared, with the common error body."""
    responses, place = operation.definition["responses"], operation.place / "responses"
    for status in sorted(_expected_statuses(operation) - responses.keys()):
        yield place, f"{operation.operation_id} can answer {status} and does not declare it"
    if "default" in responses and next(reversed(responses)) != "default":
        yield place / "default", f"{operation.operation_id}: default must be the last response"
    for status, node in responses.items():
        content = api.resolved(node).get("content", {})
        if not _STATUS.fullmatch(status):
            yield place / status, f"{operation.operation_id}: {status} is not a status"
        elif (
            status not in _WITHOUT_ERROR
            and not status.startswith("2")
            and content.get(JSON, {}).get("schema") != _ERROR_SCHEMA
        ):
            yield place / status, f"{operation.operation_id}: the body of {status} must be error.v1"


def _expected_statuses(operation: Operation) -> set[str]:
    expected = {"400", "401", "429", "500", "503", "default"}
    if "requestBody" in operation.definition:
        expected |= {"413"}
    rules = operation.definition.get("x-access")
    words = {str(rule).partition(":")[0] for rule in rules} if isinstance(rules, list) else set()
    return expected if {"person", "partner"} & words else expected | {"403"}


def _media(api: Api, operation: Operation, validators: Validators) -> Faults:
    body = api.resolved(operation.definition.get("requestBody", {}))
    place = operation.place / "requestBody" / "content"
    if body and JSON not in body["content"]:
        yield place, f"{operation.operation_id}: a request body must be {JSON}"
    yield from _contents(place, operation, body.get("content", {}), validators.request)
    for status, node in operation.definition["responses"].items():
        place = operation.place / "responses" / status / "content"
        yield from _contents(place, operation, api.resolved(node).get("content", {}), validators.response)


def _contents(
    place: Place, operation: Operation, contents: dict[str, Any], compiled: Callable[[dict[str, Any]], Validator]
) -> Faults:
    content, here, name = contents.get(JSON), place / JSON, operation.operation_id
    if content is None:
        return
    if "schema" not in content:
        yield here, f"{name}: the content has no schema"
        return
    found = list(examples(content))
    if not found:
        yield here, f"{name}: the content has no example"
    validator = compiled(content["schema"])
    for keys, example in found:
        yield from misfits(Place(here.file, (*here.keys, *keys)), f"{name}: the example", validator, example)


def examples(content: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The examples of a media type, each with the keys that lead to it."""
    if "example" in content:
        yield ("example",), content["example"]
    for name, named in content.get("examples", {}).items():
        if "value" in named:
            yield ("examples", name, "value"), named["value"]
