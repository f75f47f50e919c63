"""Whatever member of a body is left out, or is null where the spec allows it, the request is carried out or refused.

It never fails, at whatever depth the member stands.

All operations with a body are here by themselves; each has a case in `tests/support/cases`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from tests.support.full_bodies import FullBodies, Path, places, with_null, without
from tests.support.rows import storing

OPERATIONS = [(api, operation) for api in spec_apis() for operation in api.operations]
BUILT = find_handlers(operation for _, operation in OPERATIONS)
WITH_BODY = [(api, o) for api, o in OPERATIONS if o.operation_id in BUILT and "requestBody" in o.definition]
# A repeat finds done what it asks for, and does not look at its body.
_LOOK_AT_THE_FIRST_BODY = {"CreatePatientFromUser"}
Change = Callable[[Any], Any]


def _unchanged(body: Any) -> Any:
    return body


class Varied:
    """The request of an operation's case, sent with a full body in which one member is changed."""

    def __init__(self, api: Api, operation: Operation, database: Database, client: Client) -> None:
        body = api.resolved(operation.definition["requestBody"])
        self._schema = body["content"]["application/json"]["schema"]
        self._bodies = FullBodies(api)
        self._case = find_case(operation)
        self._database, self._client = database, client
        self._change: Change = _unchanged
        self._send: Send | None = None
        self._keeps_rows = True
        self.body: Any = None

    def vary(self, given: Any) -> Any:
        """The body to be sent in place of the case's own."""
        self.body = self._change(self._bodies.complete(self._schema, given))
        return self.body

    def changes(self) -> Iterator[tuple[str, Path, Change]]:
        """Each change of the last body that is to be tried: what it does, to which member, and how."""
        fits = self._bodies.validator(self._schema).is_valid
        for path in list(places(self.body)):
            yield "left out", path, partial(without, path=path)
            if fits(with_null(self.body, path)):
                yield "null", path, partial(with_null, path=path)

    def send(self, needs: ExitStack, change: Change = _unchanged) -> Reply:
        """The answer to the changed body."""
        if self._send is None:
            clear(self._database)
            with storing(self._database) as unit:
                self._send = self._case(Stage(self._client, self._database, unit, needs))
        self._change = change
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
def test_a_member_that_is_left_out_or_null(
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
        varied.keep_rows(send().status < 300 and operation.operation_id not in _LOOK_AT_THE_FIRST_BODY)
        failed = {
            (done, path): reply.json
            for done, path, change in list(varied.changes())
            if (reply := send(change)).status >= 500
        }
    assert failed == {}
