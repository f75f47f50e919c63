"""operationId → handler. A handler is a function in `resources/<group>/handlers.py`, named after its operation.

A module `resources/patients/handlers.py` with a public function `get_patient` handles `GetPatient` of
`spec/clinic/paths/patients.yaml`. A function `prepare_get_patient` beside it, if there is one, runs first, while no
transaction is open, and is where other services are asked. What it does there may have to be undone when the handler's
own transaction is not committed: that is for a function `compensate_get_patient`, which gets what was prepared.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from clinic_service.api.framework import AbstractOperation, Resolution, Resolver
from clinic_service.api.parameters import PlanError, snake_case
from clinic_service.specification.apis import Api, Operation

_PREPARE = "prepare_"
_COMPENSATE = "compensate_"


@dataclass(frozen=True)
class Handler:
    """The function that does an operation, the one that prepares it outside the transaction, and the one that undoes
    what was prepared."""

    function: Callable[..., Any]
    prepare: Callable[..., Any] | None
    accepts: frozenset[str]
    compensate: Callable[..., Any] | None = None


class HandlerResolver(Resolver):  # type: ignore[misc]  # Connexion is untyped
    """Resolves the operationIds of one API for Connexion: to a Handler, or to None for an operation without one."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._operations = {operation.operation_id: operation for operation in api.operations}

    def resolve(self, operation: AbstractOperation) -> Resolution:
        described = self._operations[operation.operation_id]
        return Resolution(_handler(_module(described.group), described), operation.operation_id)


def find_handlers(operations: Iterable[Operation]) -> dict[str, Handler]:
    """The handlers by operationId; an operation without one is left out.

    Raises PlanError for a handler that belongs to no operation: it would never run.
    """
    operations = list(operations)
    refuse_strays(operations)
    return match_handlers(operations)[0]


def refuse_strays(operations: Iterable[Operation]) -> None:
    """Raise PlanError for a handler that belongs to no operation: it would never run."""
    operations = list(operations)
    for group, name in _strays(_modules(operations), operations):
        raise PlanError(f"the handler {name} of {group} handles no operation of the spec")


def match_handlers(operations: Iterable[Operation]) -> tuple[dict[str, Handler], list[tuple[str, str]]]:
    """The handlers by operationId, and (group, name) of each that belongs to no operation.

    Raises PlanError for a function that compensates what nothing prepares.
    """
    operations = list(operations)
    modules = _modules(operations)
    found = {o.operation_id: handler for o in operations if (handler := _handler(modules[o.group], o))}
    return found, list(_strays(modules, operations))


def handler_name(operation_id: str) -> str:
    """The Python name of the handler of `operation_id`: `GetMRNSettings` → `get_mrn_settings`."""
    return snake_case(operation_id)


def _modules(operations: Iterable[Operation]) -> dict[str, ModuleType | None]:
    return {group: _module(group) for group in {operation.group for operation in operations}}


def _module(group: str) -> ModuleType | None:
    package = f"clinic_service.resources.{group}"
    if find_spec(package) is None or find_spec(f"{package}.handlers") is None:
        return None
    return importlib.import_module(f"{package}.handlers")


def _handler(module: ModuleType | None, operation: Operation) -> Handler | None:
    name = handler_name(operation.operation_id)
    function = getattr(module, name, None)
    if function is None:
        return None
    parameters = [p for p in inspect.signature(function).parameters if p != "ctx"]
    prepare, compensate = getattr(module, _PREPARE + name, None), getattr(module, _COMPENSATE + name, None)
    return Handler(function, prepare, frozenset(parameters), compensate)


def _strays(modules: Mapping[str, ModuleType | None], operations: Iterable[Operation]) -> Iterator[tuple[str, str]]:
    names = {handler_name(operation.operation_id) for operation in operations}
    for group, module in modules.items():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            is_ours = module is not None and function.__module__ == module.__name__ and not name.startswith("_")
            if is_ours and name.removeprefix(_PREPARE).removeprefix(_COMPENSATE) not in names:
                yield group, name
            if (
                is_ours
                and name.startswith(_COMPENSATE)
                and not hasattr(module, _PREPARE + name.removeprefix(_COMPENSATE))
            ):
                raise PlanError(f"{function.__module__}.{name} compensates what nothing prepares")
