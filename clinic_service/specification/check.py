"""`spec check`: everything that must hold before the spec can be served and published, each finding with file and line.

General linters do not know which engine runs the patterns, which handlers exist, or what `x-access` means; this does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

from clinic_service.api.operations import find_handlers, handler_name
from clinic_service.api.parameters import PlanError
from clinic_service.api.plan import compile_plan
from clinic_service.api.validation import Validator, Validators
from clinic_service.specification.apis import API_NAMES, Api, Operation, load_api
from clinic_service.specification.bundle import bundle
from clinic_service.specification.source import Place, Source, SpecError

JSON = "application/json"


class SpecFinding(NamedTuple):
    """One fault of the spec and the line of the source YAML it stands on."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def check(folder: Path, tests: Path | None) -> list[SpecFinding]:
    """All faults of the spec under `folder`, in order of file and line; `tests` is where test files are, if anywhere."""
    # The validator of the standard takes most of the time, and both documents can be judged at once.
    with ProcessPoolExecutor(max_workers=len(API_NAMES)) as pool:
        judged = pool.map(standard_findings, [folder] * len(API_NAMES), API_NAMES)
        own = own_findings(folder, tests)
        return sorted({*own, *(finding for found in judged for finding in found)})


def own_findings(folder: Path, tests: Path | None) -> list[SpecFinding]:
    """What this program asks of the spec beyond the standard."""
    source = Source(folder)
    findings = list(_duplicates(source))
    apis = [api for name in API_NAMES if (api := _load(source, name, findings))]
    for api in apis:
        findings.extend(_api_findings(source, api))
    findings.extend(_handler_findings(source, apis, tests))
    return findings


def _load(source: Source, name: str, findings: list[SpecFinding]) -> Api | None:
    try:
        return load_api(source, name)
    except SpecError as error:
        findings.append(SpecFinding(error.file, error.line, error.message))
        return None


def standard_findings(folder: Path, name: str) -> list[SpecFinding]:
    """What openapi-spec-validator has against the API `name`."""
    # Imported here: it is slow to import, and only this process needs it.
    from openapi_spec_validator import validate
    from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

    source = Source(folder)
    try:
        validate(bundle(source, f"{name}.yaml").document)
    except SpecError:
        # Told by `own_findings`.
        return []
    except OpenAPIValidationError as error:
        path = "/".join(str(part) for part in getattr(error, "absolute_path", ()))
        text = str(getattr(error, "message", error))[:300]
        return [
            SpecFinding(source.folder / f"{name}.yaml", 1, f"not valid OpenAPI at {path or 'the document'}: {text}")
        ]
    return []


def _duplicates(source: Source) -> Iterator[SpecFinding]:
    for file in source.files():
        try:
            for line, key in source.duplicate_keys(file):
                yield SpecFinding(file, line, f"the key {key!r} stands twice")
        except Exception as error:
            mark = getattr(error, "problem_mark", None)
            yield SpecFinding(file, mark.line + 1 if mark else 1, str(getattr(error, "problem", "not YAML")))


def _api_findings(source: Source, api: Api) -> Iterator[SpecFinding]:
    pattern_faults = list(_pattern_findings(source, api))
    yield from pattern_faults
    if pattern_faults:
        return
    validators = Validators(api.document)
    yield from _root_findings(source, api)
    yield from _schema_findings(source, api, validators)
    for operation in api.operations:
        yield from _operation_findings(source, api, operation, validators)


def _root_findings(source: Source, api: Api) -> Iterator[SpecFinding]:
    file = source.folder / f"{api.name}.yaml"
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if any(mark in text for mark in ("{{", "{%", "{#")):
            yield SpecFinding(
                file, number, "Connexion reads this file as a template: no double brace, brace-percent, brace-hash"
            )


def _pattern_findings(source: Source, api: Api) -> Iterator[SpecFinding]:
    for place, node in _schemas_of(api):
        for keyword in ("pattern", "x-pattern", "x-request-pattern"):
            pattern = node.get(keyword)
            if isinstance(pattern, str) and not _compiles(pattern):
                yield _finding(source, place / keyword, "the pattern does not compile in the validator that runs it")


def _compiles(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft4Validator({"pattern": pattern})
    except ValueError:
        return False
    return True


def _schema_findings(source: Source, api: Api, validators: Validators) -> Iterator[SpecFinding]:
    for place, node in _schemas_of(api):
        if "default" in node:
            yield from _misfit(source, place / "default", "default", validators.request(node), node["default"])
        if "example" in node:
            yield from _misfit(source, place / "example", "example", validators.response(node), node["example"])
        for name, member in node.get("properties", {}).items():
            if "$ref" not in member and not member.get("description") and not member.get("allOf"):
                yield _finding(source, place / "properties" / name, f"the property {name!r} has no description")


def _operation_findings(
    source: Source, api: Api, operation: Operation, validators: Validators
) -> Iterator[SpecFinding]:
    definition, place = operation.definition, operation.place
    for member in ("operationId", "summary", "description", "tags", "x-access"):
        if not definition.get(member):
            yield _finding(source, place, f"{operation.operation_id} has no {member}")
    for parameter in definition["parameters"]:
        found = api.resolved(parameter)
        if not found.get("description"):
            yield _finding(
                source, place, f"{operation.operation_id}: the parameter {found['name']!r} has no description"
            )
    yield from _status_findings(source, api, operation)
    yield from _media_findings(source, api, operation, validators)
    try:
        compile_plan(api, operation, validators, None)
    except PlanError as error:
        yield _finding(source, place, str(error))


def _status_findings(source: Source, api: Api, operation: Operation) -> Iterator[SpecFinding]:
    """The refusals that every operation of its kind can give must be described."""
    responses = operation.definition.get("responses", {})
    expected = {"400", "401", "500", "503"}
    if "requestBody" in operation.definition:
        expected |= {"413"}
    if not {"person", "partner"} & {str(rule).partition(":")[0] for rule in operation.definition.get("x-access", [])}:
        expected |= {"403"}
    for status in sorted(expected - responses.keys()):
        yield _finding(
            source, operation.place / "responses", f"{operation.operation_id} can answer {status} and does not say so"
        )
    for status, node in responses.items():
        content = api.resolved(node).get("content", {})
        if not status.startswith("2") and content.get(JSON, {}).get("schema") != {
            "$ref": "#/components/schemas/error.v1"
        }:
            place = operation.place / "responses" / status
            yield _finding(source, place, f"{operation.operation_id}: {status} does not have the body error.v1")


def _media_findings(source: Source, api: Api, operation: Operation, validators: Validators) -> Iterator[SpecFinding]:
    body = operation.definition.get("requestBody")
    if body:
        place = operation.place / "requestBody" / "content"
        yield from _contents(source, place, operation, api.resolved(body).get("content", {}), validators.request)
    for status, node in operation.definition.get("responses", {}).items():
        place = operation.place / "responses" / status / "content"
        yield from _contents(source, place, operation, api.resolved(node).get("content", {}), validators.response)


def _contents(
    source: Source,
    place: Place,
    operation: Operation,
    contents: dict[str, Any],
    compiled: Callable[[dict[str, Any]], Validator],
) -> Iterator[SpecFinding]:
    for media_type, content in contents.items():
        if media_type != JSON:
            continue
        examples = _examples(content)
        if not examples:
            yield _finding(source, place / media_type, f"{operation.operation_id}: there is no example")
        validator = compiled(content["schema"])
        for keys, example in examples:
            where = Place(place.file, (*place.keys, media_type, *keys))
            yield from _misfit(source, where, f"{operation.operation_id}: the example", validator, example)


def _examples(content: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    if "example" in content:
        return [(("example",), content["example"])]
    return [(("examples", name, "value"), named["value"]) for name, named in content.get("examples", {}).items()]


def _misfit(source: Source, place: Place, what: str, validator: Validator, value: Any) -> Iterable[SpecFinding]:
    return [
        _finding(source, place, f"{what} does not fit its schema at {finding.pointer or '/'} ({finding.rule})")
        for finding in validator.findings(value, "")
    ]


def _handler_findings(source: Source, apis: list[Api], tests: Path | None) -> Iterator[SpecFinding]:
    """Handlers that fit no operation, operations that do not fit their handler, and handlers without a test."""
    operations = [operation for api in apis for operation in api.operations]
    try:
        handlers = find_handlers(operations)
    except PlanError as error:
        yield SpecFinding(source.folder, 1, str(error))
        return
    for api in apis:
        validators = Validators(api.document)
        for operation in api.operations:
            handler = handlers.get(operation.operation_id)
            if handler is None:
                continue
            try:
                compile_plan(api, operation, validators, handler)
            except PlanError as error:
                yield _finding(source, operation.place, str(error))
            test = (
                tests / "api" / operation.group / f"test_{handler_name(operation.operation_id)}.py" if tests else None
            )
            if test and not test.exists():
                yield _finding(source, operation.place, f"{operation.operation_id} has a handler and no test file")


def _schemas_of(api: Api) -> Iterator[tuple[Place, dict[str, Any]]]:
    for (kind, name), place in api.bundle.places.items():
        if kind == "schemas":
            yield from _walk(place, api.document["components"]["schemas"][name])
        elif kind == "parameters":
            yield from _walk(place / "schema", api.document["components"]["parameters"][name].get("schema", {}))


def _walk(place: Place, node: Any) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every schema in `node`, itself included; those it refers to are components of their own."""
    if not isinstance(node, dict) or "$ref" in node:
        return
    yield place, node
    for name, member in node.get("properties", {}).items():
        yield from _walk(place / "properties" / name, member)
    for key in ("items", "additionalProperties", "not"):
        yield from _walk(place / key, node.get(key))
    for key in ("allOf", "anyOf", "oneOf"):
        for index, member in enumerate(node.get(key, [])):
            yield from _walk(place / key / index, member)


def _finding(source: Source, place: Place, message: str) -> SpecFinding:
    return SpecFinding(place.file, source.line(place), message)
