"""One transaction: wherever the database fails while an operation is carried out, nothing of the operation is left.

All operations that are built and may write are here by themselves; each has a case in `tests/support/cases`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import delete, update

from clinic_service import clock
from clinic_service.api.operations import find_handlers, handler_name
from clinic_service.api.plan import may_write
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.models import EmbeddedAccount, OutboxEntry, Reservation
from clinic_service.specification.apis import Operation
from tests.support import cases
from tests.support.cases import Send, Stage, find_case
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.relays import make_relay
from tests.support.rows import LONG_AGO, storing
from tests.support.units import assert_all_or_nothing, everything

# Those that could write as far as their method tells, and store nothing.
NOTHING_STORED = {"RefreshPatientCount": "counts are taken anew whenever they are asked for"}
# Those that store on the way what stays whatever comes of the request; their own tests say what happens then.
STORED_BEFORE = {"XealthGetProgramUrl": "a token is good for nothing until it is told, and a view need not be noted"}


OPERATIONS = {operation.operation_id: operation for api in spec_apis() for operation in api.operations}
HANDLERS = find_handlers(OPERATIONS.values())
MAY_WRITE = [OPERATIONS[name] for name in HANDLERS if may_write(OPERATIONS[name])]
WRITING = [o for o in MAY_WRITE if o.operation_id not in {*NOTHING_STORED, *STORED_BEFORE}]
STORING_NOTHING = [o for o in MAY_WRITE if o.operation_id in NOTHING_STORED]


def test_every_case_is_one_of_an_operation_that_may_write_or_has_a_body() -> None:
    """Those with a body are varied by `test_missing_and_null_members`."""
    described = (o for o in OPERATIONS.values() if may_write(o) or "requestBody" in o.definition)
    known = {handler_name(o.operation_id) for o in described}
    modules = [
        importlib.import_module(found.name) for found in pkgutil.iter_modules(cases.__path__, "tests.support.cases.")
    ]
    found = [
        name
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]
    assert set(found) - known == set()
    assert len(found) == len(set(found)) > 40


@pytest.fixture
def send(operation: Operation, api: Client, database: Database) -> Iterator[Send]:
    """Sends the request of the operation's case, whose rows are there."""
    case = find_case(operation)
    with ExitStack() as needs:
        with storing(database) as unit:
            send = case(Stage(api, database, unit, needs))
        yield send


@pytest.mark.parametrize("operation", WRITING, ids=lambda operation: operation.operation_id)
def test_a_failure_at_any_statement_leaves_nothing_behind(
    database: Database, config: Config, operation: Operation, send: Send
) -> None:
    phases = HANDLERS[operation.operation_id].phases
    if phases and phases.is_compensated:
        assert_all_or_nothing(database, send, compensate=partial(put_right, database, config))
    else:
        assert_all_or_nothing(database, send)


def put_right(database: Database, config: Config) -> None:
    """What a few minutes do: the relay undoes what had happened to accounts, and what served only that has had its day."""
    later = clock.now() + timedelta(minutes=10)
    with clock.frozen(later):
        make_relay(database, config, None, chosen_accounts(config, database)).deliver_due()
    with storing(database) as unit:
        unit.execute(delete(OutboxEntry).where(OutboxEntry.delivered_time.is_not(None)))
        unit.execute(delete(Reservation).where(Reservation.expires_time <= later))
        # An account that got its address back has a new time of change, and nothing else.
        unit.execute(update(EmbeddedAccount).values(updated_time=LONG_AGO))


@pytest.mark.parametrize("operation", STORING_NOTHING, ids=lambda operation: operation.operation_id)
def test_what_is_said_to_store_nothing_stores_nothing(database: Database, send: Send) -> None:
    before = everything(database)
    assert send().status < 300
    assert everything(database) == before
