"""Rules about operations and their handlers, which are connected only by the `operationId`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from clinic_service.api.operations import handler_name, match_handlers
from clinic_service.api.parameters import PlanError
from clinic_service.api.plan import compile_plan
from clinic_service.api.validation import Validators
from clinic_service.cli.spec.check.findings import Faults
from clinic_service.specification.apis import Api, Operation
from clinic_service.specification.source import Place


def handler_faults(
    apis: list[Api], validators: Mapping[str, Validators], tests: Path | None, damaged: Collection[Place]
) -> Faults:
    """Handlers without an operation, operations that do not fit their handler, and handlers without a test file.

    `validators` are found by the names of the APIs. `tests` is the folder of all tests; None: do not look for test files.
    `damaged` are the places of operations that could not be read completely: they are not compared with their handlers.
    """
    operations = [operation for api in apis for operation in api.operations]
    handlers, strays = match_handlers(operations)
    for group, name in strays if all(api.bundle.has_all_operations for api in apis) else ():
        of_group = [operation for operation in operations if operation.group == group]
        yield _culprit(name, of_group, handlers)
    for api in apis:
        for operation in api.operations:
            handler = handlers.get(operation.operation_id)
            if handler is None or operation.place in damaged:
                continue
            try:
                compile_plan(api, operation, validators[api.name], handler)
            except PlanError as error:
                yield operation.place, str(error)
            if tests and not test_file(tests, operation).exists():
                yield operation.place, f"{operation.operation_id} has a handler and no test file"


def test_file(tests: Path, operation: Operation) -> Path:
    """The path of the test file of `operation`; `tests` is the folder of all tests."""
    return tests / "api" / operation.group / f"test_{handler_name(operation.operation_id)}.py"


def _culprit(name: str, of_group: list[Operation], handled: Collection[str]) -> tuple[Place, str]:
    """The fault of the handler `name`, which has no operation, at the operation that it was most likely written for."""
    unhandled = {handler_name(o.operation_id): o for o in of_group if o.operation_id not in handled}
    message = f"the handler {name} of {of_group[0].group} handles no operation of the spec"
    similar = get_close_matches(name, unhandled, n=1)
    if similar:
        operation = unhandled[similar[0]]
        return operation.place / "operationId", f"{message}; was {operation.operation_id} renamed?"
    return Place(of_group[0].place.file), message
