"""Whatever member is left out of a body, at any depth, the request is carried out or refused; it never fails.

All operations with a body are here by themselves; each has a case in `tests/support/cases`.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from clinic_service.api.operations import find_handlers
from clinic_service.db.engine import Database
from clinic_service.specification.apis import Api, Operation
from tests.support.cases import Send, Stage, find_case
from tests.support.client import Client, Reply
from tests.support.databases import clear
from tests.support.errors import spec_apis
from tests.support.full_bodies import FullBodies, Path, places, without
from tests.support.rows import storing

OPERATIONS = [(api, operation) for api in spec_apis() for operation in api.operations]
BUILT = find_handlers(operation for _, operation in OPERATIONS)
WITH_BODY = [(api, o) for api, o in OPERATIONS if o.operation_id in BUILT and "requestBody" in o.definition]


class Varied:
    """The request of an operation's case, sent with a full body from which one member is taken."""

    def __init__(self, api: Api, operation: Operation, database: Database, client: Client) -> None:
        body = api.resolved(operation.definition["requestBody"])
        self._schema = body["content"]["application/json"]["schema"]
        self._bodies = FullBodies(api)
        self._case = find_case(operation)
        self._database, self._client = database, client
        self._left_out: Path = ()
        self._send: Send | None = None
        self._keeps_rows = True
        self.body: Any = None

    def vary(self, given: Any) -> Any:
        """The body to be sent in place of the case's own."""
        body = self._bodies.complete(self._schema, given)
        self.body = without(body, self._left_out) if self._left_out else body
        return self.body

    def send(self, needs: ExitStack, left_out: Path = ()) -> Reply:
        """The answer to the body without what stands at `left_out`."""
        if self._send is None:
            clear(self._database)
            with storing(self._database) as unit:
                self._send = self._case(Stage(self._client, self._database, unit, needs))
        self._left_out = left_out
        reply = self._send()
        if reply.status < 300 and not self._keeps_rows:
            self._send = None
        return reply

    def keep_rows(self, can_repeat: bool) -> None:
        """Make the rows anew after each success unless the request can be sent again; making them takes long."""
        self._keeps_rows = can_repeat
        if not can_repeat:
            self._send = None


@pytest.mark.parametrize(("spec", "operation"), WITH_BODY, ids=lambda given: getattr(given, "operation_id", None))
def test_a_member_that_is_left_out(
    spec: Api, operation: Operation, database: Database, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    varied = Varied(spec, operation, database, api)
    send_request = Client.request

    def request(client: Client, method: str, path: str, *, json: Any = ..., **rest: Any) -> Reply:
        return send_request(client, method, path, json=varied.vary(json), **rest)

    monkeypatch.setattr(Client, "request", request)
    with ExitStack() as needs:
        send = partial(varied.send, needs)
        # Otherwise the members of a refused body would not be looked at.
        assert send().status < 300, varied.body
        varied.keep_rows(send().status < 300)
        failed = {path: reply.json for path in list(places(varied.body)) if (reply := send(path)).status >= 500}
    assert failed == {}
