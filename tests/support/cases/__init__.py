"""Cases: for every operation that writes, rows to start from and one request that succeeds on them.

The case of `CreatePatientTag`, whose handler is `create_patient_tag` in `resources/tags/handlers.py`, is the function
`create_patient_tag` in the module `tags` here. It puts rows into `stage.unit` and returns what sends the request. The
rows should give every statement of the operation something to do: patients who carry the tag, an invitation that is
pending.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from typing import NamedTuple

from clinic_service.api.operations import handler_name
from clinic_service.db.engine import Database
from clinic_service.specification.apis import Operation
from clinic_service.unit_of_work import UnitOfWork
from tests.support.client import Client, Reply

Send = Callable[[], Reply]


class Stage(NamedTuple):
    """What a case is made on.

    `unit` is committed before the request is sent; while it is open, nobody else can write. Whatever the request needs
    besides the database, such as another server, goes into `needs`, which ends after it.
    """

    api: Client
    database: Database
    unit: UnitOfWork
    needs: ExitStack


Case = Callable[[Stage], Send]


def find_case(operation: Operation) -> Case:
    """The case of `operation`. Raises LookupError, which says what to write where."""
    name, module = handler_name(operation.operation_id), f"{__name__}.{operation.group}"
    case: Case | None = getattr(importlib.import_module(module), name, None) if find_spec(module) else None
    if case is None:
        raise LookupError(f"{operation.operation_id} has no case: write {name}(stage) in {module}")
    return case
