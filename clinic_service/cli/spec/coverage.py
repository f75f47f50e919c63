"""`spec coverage`: what each operation of the spec has, and what it still lacks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from clinic_service.api.operations import match_handlers
from clinic_service.cli.spec.check.handler_rules import test_file
from clinic_service.cli.tables import table
from clinic_service.specification.apis import Api, Operation

# Enough columns for four statuses.
_REFUSALS_COLUMNS = 15


class Coverage(NamedTuple):
    """One operation. `handler` is its module and function; without one (None) the server answers 501.

    `access` are the rules of `x-access`, and `refusals` the declared statuses from 400. `test` is where its tests belong.
    `is_tested` says whether that file exists; None where there is no folder of tests to look in.
    """

    api: str
    operation_id: str
    method: str
    path: str
    handler: str | None
    access: list[str]
    refusals: list[str]
    test: Path
    is_tested: bool | None

    @property
    def implemented(self) -> bool:
        """Whether the operation has a handler."""
        return self.handler is not None

    def facts(self) -> dict[str, Any]:
        """The coverage as an object of JSON."""
        return {
            "api": self.api,
            "operationId": self.operation_id,
            "method": self.method,
            "path": self.path,
            "implemented": self.implemented,
            "handler": self.handler,
            "access": self.access,
            "refusals": self.refusals,
            "test": {"file": self.test.as_posix(), "exists": self.is_tested},
        }


def coverage(apis: list[Api], checkout: Path) -> list[Coverage]:
    """The coverage of every operation, in the order of the spec. `checkout` is the folder around tests/."""
    operations = [operation for api in apis for operation in api.operations]
    # A handler without an operation is a finding of `spec check`.
    handlers, _ = match_handlers(operations)
    names = {operation_id: handler.name for operation_id, handler in handlers.items()}
    return [_of_operation(operation, names.get(operation.operation_id), checkout) for operation in operations]


def coverage_table(rows: list[Coverage]) -> str:
    """The coverage as a table of at most 120 columns, with three lines for each operation or one for each of its rules."""
    headings = ("OPERATION, HANDLER, FILE IN tests/", "WHO", "REFUSALS")
    return table(headings, [line for row in rows for line in _lines(row)])


def _of_operation(operation: Operation, handler: str | None, checkout: Path) -> Coverage:
    rules = operation.definition.get("x-access")
    test = test_file(Path("tests"), operation)
    return Coverage(
        operation.api,
        operation.operation_id,
        operation.method.upper(),
        operation.path,
        handler,
        # Anything else than a list is a finding of `spec check`.
        [str(rule) for rule in rules] if isinstance(rules, list) else [],
        [status for status in operation.definition["responses"] if status[0] in "45"],
        test,
        (checkout / test).is_file() if (checkout / "tests").is_dir() else None,
    )


def _lines(row: Coverage) -> Iterator[tuple[str, str, str]]:
    handler = row.handler.removeprefix("clinic_service.resources.") if row.handler else "no handler (501)"
    tests = row.test.relative_to("tests").as_posix()
    what = (row.operation_id, f"  {handler}", f"  no file {tests}" if row.is_tested is False else f"  {tests}")
    who = [f"or {rule}" if index else rule for index, rule in enumerate(row.access)]
    return zip_longest(what, who, wrap(" ".join(row.refusals), _REFUSALS_COLUMNS), fillvalue="")
