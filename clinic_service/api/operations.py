"""operationId → handler. A handler is a function in `resources/<group>/handlers.py`, named after its operation.

A module `resources/patients/handlers.py` with a public function `get_patient` handles `GetPatient` of
`spec/clinic/paths/patients.yaml`. An operation that asks other services first has phases: see `preparation.py`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from clinic_service.api.parameters import PlanError, snake_case
from clinic_service.preparation import Phases
from clinic_service.specification.apis import Operation


@dataclass(frozen=True)
class Handler:
    """The function that does an operation, or the phases in which it is done, and the parameters that they use."""

    work: Callable[..., Any] | Phases[Any]
    accepts: frozenset[str]

    @classmethod
    def of(cls, work: Callable[..., Any] | Phases[Any]) -> Handler:
        """The handler that a module defines."""
        if isinstance(work, Phases):
            return cls(work, work.parameters)
        return cls(work, frozenset(tuple(inspect.signature(work).parameters)[1:]))

    @property
    def name(self) -> str:
        """The module and the function that handles the operation."""
        function = self.work.handler if isinstance(self.work, Phases) else self.work
        return f"{function.__module__}.{function.__name__}"

    @property
    def phases(self) -> Phases[Any] | None:
        """The phases; None for an operation without a preparation."""
        return self.work if isinstance(self.work, Phases) else None


def find_handlers(operations: Iterable[Operation]) -> dict[str, Handler]:
    """The handlers by operationId; an operation without a handler is left out.

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
    """The handlers by operationId, and (group, name) of each that belongs to no operation."""
    operations = list(operations)
    modules = _modules(operations)
    found = {o.operation_id: handler for o in operations if (handler := _handler(modules[o.group], o))}
    return found, list(_strays(modules, operations))


def find_handler(operation: Operation) -> Handler | None:
    """The handler of `operation`; None when there is none."""
    return _handler(_module(operation.group), operation)


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
    work = getattr(module, handler_name(operation.operation_id), None)
    return None if work is None else Handler.of(work)


def _strays(modules: Mapping[str, ModuleType | None], operations: Iterable[Operation]) -> Iterator[tuple[str, str]]:
    names = {handler_name(operation.operation_id) for operation in operations}
    for group, module in modules.items():
        for name in _defined_in(module):
            if name not in names:
                yield group, name


def _defined_in(module: ModuleType | None) -> Iterator[str]:
    """The names of the public handlers that the module itself defines."""
    for name, found in inspect.getmembers(module):
        function = found.handler if isinstance(found, Phases) else found
        is_own = inspect.isfunction(function) and module is not None and function.__module__ == module.__name__
        if is_own and not name.startswith("_"):
            yield name
