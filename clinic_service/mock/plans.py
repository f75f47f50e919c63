"""The plans of a document for the mock, and the parts of the document that the mock cannot serve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clinic_service.api.audit_rules import NOT_AUDITED
from clinic_service.api.operations import Handler
from clinic_service.api.plan import JSON, DeclaredAnswer, Plan, takes_conditions, takes_key
from clinic_service.api.validation import Validators
from clinic_service.auth.rules import Access, AccessRuleError, compile_access
from clinic_service.mock.access import OpenAccess, credential
from clinic_service.mock.answers import Answers, Declared
from clinic_service.mock.bodies import compile_body
from clinic_service.mock.contents import Responses
from clinic_service.mock.parameters import read_parameters
from clinic_service.mock.values import Values
from clinic_service.specification.apis import METHODS, Api, Operation
from clinic_service.specification.source import Place

_URL_PARAMETER = re.compile(r"\{([^{}]*)\}")
_NOT_SERVED = ("head", "options", "trace")
Messages = list[tuple[Place, str]]


@dataclass(frozen=True)
class MockPlans:
    """The plans by operationId, the errors that prevent serving the document, and the parts that are partly served."""

    plans: dict[str, Plan] = field(default_factory=dict)
    faults: Messages = field(default_factory=list)
    notes: Messages = field(default_factory=list)


def compile_mock(api: Api, *, seed: str = "", auth: bool = False) -> MockPlans:
    """The plans of `api`. With `auth`, access rules that need no database are checked."""
    return _Compiler(api, seed, auth=auth).run()


class _Compiler:
    def __init__(self, api: Api, seed: str, *, auth: bool) -> None:
        self._api, self._seed, self._auth = api, seed, auth
        self._made = MockPlans()
        self._validators = Validators(api.document)
        self._values = Values(api, self._validators)
        self._responses = Responses(api, self._validators, self._values, seed, self._refuse)

    def run(self) -> MockPlans:
        seen: dict[str, Operation] = {}
        for url, item in self._api.document["paths"].items():
            self._note_unserved(url, item)
        for operation in self._api.operations:
            if seen.setdefault(operation.operation_id, operation) is not operation:
                name = operation.operation_id
                self._refuse(operation.place / "operationId", f"the operationId {name!r} occurs twice")
                continue
            self._check_url(operation)
            try:
                self._made.plans[operation.operation_id] = self._plan(operation)
            except (ValueError, KeyError, RecursionError) as error:
                # A schema or a pattern that cannot be compiled raises ValueError. The first line of its text is enough.
                reason, _, _ = str(error).partition("\n")
                self._refuse(operation.place, f"{operation.operation_id}: {reason}")
        return self._made

    def _plan(self, operation: Operation) -> Plan:
        definition = operation.definition
        answers = self._answers(operation)
        parameters, unchecked = read_parameters(self._api, operation, self._validators)
        for place in unchecked:
            self._made.notes.append((place, "this parameter is not checked"))
        body = self._api.resolved(definition["requestBody"]) if "requestBody" in definition else None
        return Plan(
            operation_id=operation.operation_id,
            access=self._access(operation),
            parameters=parameters,
            body=compile_body(body, definition, self._validators) if body else None,
            answers={status: self._checks(declared) for status, declared in answers.statuses.items()},
            default_status=answers.default_status,
            seconds=None,
            writes=False,
            handler=Handler(answers, frozenset()),
            passes_query=False,
            audit=NOT_AUDITED,
            takes_key=takes_key(self._api, operation),
            takes_conditions=takes_conditions(self._api, operation),
        )

    def _answers(self, operation: Operation) -> Answers:
        place = operation.place / "responses"
        declared = self._responses.declared(operation.definition["responses"], place)
        if not declared:
            raise ValueError("no response can be an answer")
        return Answers(declared, self._values, f"{self._seed} {operation.operation_id}")

    def _checks(self, declared: Declared) -> DeclaredAnswer:
        checks = {
            content.media_type: self._validators.response(content.schema)
            if content.media_type == JSON and content.schema is not None
            else None
            for content in declared.contents
        }
        return DeclaredAnswer(checks, frozenset(name for name, _ in declared.headers))

    def _access(self, operation: Operation) -> Access:
        if self._auth:
            try:
                return compile_access(operation.definition.get("x-access"), operation.path, operation.schemes)
            except AccessRuleError as error:
                raise ValueError(f"{error}; --auth decides by it") from None
        return OpenAccess([list(map(self._credential, needed)) for needed in operation.definition["security"]])

    def _credential(self, name: str) -> Any:
        schemes: Mapping[str, Any] = self._api.document["components"].get("securitySchemes", {})
        if name not in schemes:
            raise ValueError(f"the security scheme {name!r} is not declared")
        return credential(schemes[name])

    def _check_url(self, operation: Operation) -> None:
        names = _URL_PARAMETER.findall(operation.path)
        declared = {node["name"] for _, node in self._api.parameters(operation) if node["in"] == "path"}
        if set(names) != declared or len(names) != len(set(names)):
            message = f"{operation.operation_id}: the URL {operation.path} and the parameters in path differ"
            self._refuse(operation.url_place, message)
        rest = _URL_PARAMETER.sub("", operation.path)
        if any(mark in rest for mark in "{}<>?#"):
            self._refuse(operation.url_place, f"{operation.path} is no path of a URL")

    def _note_unserved(self, url: str, item: Mapping[str, Any]) -> None:
        place = self._api.bundle.places["paths", url]
        for method in _NOT_SERVED:
            if method in item:
                self._made.notes.append((place / method, f"operations of the method {method.upper()} are not served"))

    def _refuse(self, place: Place, message: str) -> None:
        self._made.faults.append((place, message))


def outline(api: Api) -> dict[str, Any]:
    """The operations of a document without their content, which is all that Connexion needs to find the plans."""
    return {
        **{key: api.document[key] for key in ("openapi", "info")},
        "paths": {
            url: {method: {"responses": {}} for method in METHODS if method in item}
            for url, item in api.document["paths"].items()
        },
    }
