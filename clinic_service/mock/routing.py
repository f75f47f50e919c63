"""The resolver with which Connexion finds the answers of the mock instead of handlers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from clinic_service.api.framework import AbstractOperation, Resolution, Resolver
from clinic_service.api.operations import Handler
from clinic_service.api.plan import Plan
from clinic_service.api.routing import BoundOperation, LeanFlask, PlanApi
from clinic_service.mock.dispatch import MockDispatcher
from clinic_service.mock.plans import MockPlans, outline
from clinic_service.specification.apis import Api, Operation

_URL_PARAMETER = re.compile(r"\{([^{}]*)\}")


class MockResolver(Resolver):  # type: ignore[misc]  # Connexion is untyped
    """Resolves each operation of a document to its declared answers, even without an operationId."""

    def __init__(self, api: Api, made: MockPlans) -> None:
        super().__init__()
        self._ids = {(operation.method, operation.path): operation.operation_id for operation in api.operations}
        self._made = made

    def resolve(self, operation: AbstractOperation) -> Resolution:
        operation_id = self._ids[operation.method, operation.path]
        return Resolution(self._made.plans[operation_id].handler, operation_id)


class MockApi(PlanApi):
    """Binds the operations of any document, with path parameters of any name."""

    def __init__(self, api: Api, made: MockPlans, dispatcher: MockDispatcher, app: LeanFlask) -> None:
        self._made = made
        super().__init__(api, dispatcher, app, MockResolver(api, made))

    def walked(self) -> dict[str, Any]:
        return outline(self._api)

    def compile(self, described: Operation, handler: Handler | None) -> Plan:  # noqa: ARG002 - the plan has it
        return self._made.plans[described.operation_id]

    def make_operation(self, operation: AbstractOperation) -> BoundOperation:
        names = {_variable(number): name for number, name in enumerate(_URL_PARAMETER.findall(operation.path))}

        def renamed(work: Callable[..., Any]) -> Callable[..., Any]:
            return lambda exchange, **path: work(exchange, **{names[variable]: text for variable, text in path.items()})

        view, admission = super().make_operation(operation)
        return BoundOperation(renamed(view), renamed(admission))

    @staticmethod
    def _framework_path_and_name(operation: AbstractOperation, path: str) -> tuple[str, str]:
        parts = _URL_PARAMETER.split(path)
        # Literal parts and names of parameters alternate.
        parts[1::2] = [f"<{_variable(number)}>" for number in range(len(parts) // 2)]
        return "".join(parts), operation.operation_id


def _variable(number: int) -> str:
    # The router only accepts identifiers, and a parameter can have a name like `pet-id`.
    return f"parameter{number}"
