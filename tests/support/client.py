"""A client of the application that signs its requests in the name of somebody of the cast."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from werkzeug.test import Client as WsgiClient

from clinic_service import clock
from clinic_service.gateways.tokens import mint
from tests.support.cast import Somebody
from tests.support.pointers import assert_pointers


class Reply(NamedTuple):
    """An answer: its status, its JSON (None when it has none), its headers, its bytes."""

    status: int
    json: Any
    headers: Any
    body: bytes


@lru_cache
def _minted(secret: str, somebody: Somebody, _second: int) -> str:
    """A token that was made within this second of the clock, so that none is old however long the tests take."""
    return mint(secret, somebody.id, service=somebody.is_service, lifetime=timedelta(hours=1))


class Client:
    """Calls the application in process; `as_` says in whose name, None for nobody."""

    def __init__(self, app: Any, secret: str, *, gives_examples: bool = False) -> None:
        """`gives_examples`: refusals may be examples, which do not point at places of the request that was sent."""
        self.app = app
        self._secret = secret
        self._gives_examples = gives_examples

    def request(
        self,
        method: str,
        path: str,
        *,
        as_: Somebody | None = None,
        json: Any = ...,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> Reply:
        """One request; `json` is the body when given, also when it is None."""
        sent = dict(headers or {})
        if as_ is not None:
            sent.setdefault("X-Tidepool-Session-Token", self.token(as_))
        if json is not ...:
            rest.update(data=orjson.dumps(json), content_type="application/json")
        answer = WsgiClient(self.app, use_cookies=False).open(path, method=method, headers=sent, **rest)
        body = answer.get_data()
        content = orjson.loads(body) if body and answer.mimetype == "application/json" else None
        reply = Reply(answer.status_code, content, answer.headers, body)
        if reply.status in (400, 409, 422) and method != "HEAD" and not self._gives_examples:
            assert_pointers(method, path.partition("?")[0], reply.status, reply.json.get("errors", []))
        return reply

    def token(self, somebody: Somebody) -> str:
        """A session token of `somebody`."""
        return _minted(self._secret, somebody, int(clock.now().timestamp()))

    def get(self, path: str, **rest: Any) -> Reply:
        return self.request("GET", path, **rest)

    def post(self, path: str, **rest: Any) -> Reply:
        return self.request("POST", path, **rest)

    def put(self, path: str, **rest: Any) -> Reply:
        return self.request("PUT", path, **rest)

    def patch(self, path: str, **rest: Any) -> Reply:
        return self.request("PATCH", path, **rest)

    def delete(self, path: str, **rest: Any) -> Reply:
        return self.request("DELETE", path, **rest)
