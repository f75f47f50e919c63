"""Whatever an operation writes, the clinics of users and of invitations are what patients and clinicians say."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from clinic_service.api.operations import find_handlers
from clinic_service.api.plan import may_write
from clinic_service.db.engine import Database
from clinic_service.resources.users.reconcile import compare
from clinic_service.specification.apis import Operation
from tests.support.cases import Stage, find_case
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.rows import storing

_OPERATIONS = {operation.operation_id: operation for api in spec_apis() for operation in api.operations}
_WRITING = [_OPERATIONS[name] for name in find_handlers(_OPERATIONS.values()) if may_write(_OPERATIONS[name])]


@pytest.mark.parametrize("operation", _WRITING, ids=lambda operation: operation.operation_id)
def test_they_agree_after_every_operation(database: Database, api: Client, operation: Operation) -> None:
    with ExitStack() as needs:
        with storing(database) as unit:
            send = find_case(operation)(Stage(api, database, unit, needs))
        assert list(compare(database)) == []
        assert send().status < 400
        assert list(compare(database)) == []
