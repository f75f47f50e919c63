"""Unmodified Connexion and this server side by side, both serving the same documents with handlers that only listen."""

from __future__ import annotations

import asyncio
import copy
import io
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from werkzeug.test import Client as WsgiClient

from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.framework import AbstractOperation, Resolution
from clinic_service.api.log import RequestLog
from clinic_service.api.operations import Handler
from clinic_service.api.parameters import snake_case
from clinic_service.api.routing import LeanFlask, PlanApi
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.errors import ServiceError
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.tokens import TokenVerifier, mint
from clinic_service.metrics.counters import Metrics
from clinic_service.preparation import Services
from clinic_service.specification.apis import Api, Operation
from clinic_service.specification.bundle import Bundle

with warnings.catch_warnings():
    # As in `api/framework.py`: the library warns about its own use of others.
    warnings.simplefilter("ignore")
    import connexion
    from connexion.resolver import Resolver
    from connexion.security import ApiKeySecurityHandler, BearerSecurityHandler

# What the listening handlers answer: no document describes it and nothing else answers it.
ACCEPTED = 418
_SECRET = "a secret of the tests, at least 32 bytes long"
_SERVICES = {"x-access": ["service"], "security": [{"sessionToken": []}]}


class Request(NamedTuple):
    """A request to an operation. `path` holds decoded values by name; query and body are sent as they are."""

    operation: Operation
    path: dict[str, str]
    query: str = ""
    body: bytes | None = None
    content_type: str | None = "application/json"
    chunked: bool = False

    @property
    def target(self) -> str:
        return re.sub(r"{(\w+)}", lambda name: quote(self.path[name[1]], safe=""), self.operation.path)


class Outcome(NamedTuple):
    """The status, what the handler got (parameters by their names in the spec), and the rules that were broken."""

    status: int
    path: dict[str, Any]
    query: dict[str, Any]
    body: Any
    broken: frozenset[str] = frozenset()

    @property
    def accepted(self) -> bool:
        return self.status == ACCEPTED


def _names(api: Api, operation: Operation, place: str) -> list[str]:
    declared = [api.resolved(node) for node in operation.definition["parameters"]]
    return [parameter["name"] for parameter in declared if parameter["in"] == place]


class _AnyKey(ApiKeySecurityHandler):  # type: ignore[misc]  # Connexion is untyped
    def _resolve_func(self, _scheme: Any) -> Any:
        return lambda _key: {}


class _AnyBearer(BearerSecurityHandler):  # type: ignore[misc]  # Connexion is untyped
    def _resolve_func(self, _scheme: Any) -> Any:
        return lambda _token: {}


class Stock:
    """`connexion.FlaskApp` as it comes, with a security map that takes any token."""

    _SECRETS = (
        (b"x-tidepool-session-token", b"any"),
        (b"verification-token", b"any"),
        (b"authorization", b"Bearer any"),
    )

    def __init__(self, apis: list[Api]) -> None:
        self._apis = {api.name: api for api in apis}
        self._heard: dict[str, Any] = {}
        self._loop = asyncio.Runner()
        self._app = connexion.FlaskApp("stock")
        security = {"apiKey": _AnyKey, "bearer": _AnyBearer}
        for api in apis:
            document = copy.deepcopy(api.document)
            resolver = Resolver(self._listener)
            self._app.add_api(document, base_path="", name=api.name, resolver=resolver, security_map=security)

    def _listener(self, name: str) -> Callable[..., Any]:
        def listen(**values: Any) -> Any:
            self._heard = values
            return None, ACCEPTED

        listen.__name__ = name
        return listen

    def ask(self, request: Request) -> Outcome:
        """What becomes of `request` here."""
        return self.ask_all([request])[0]

    def ask_all(self, requests: Iterable[Request]) -> list[Outcome]:
        """What becomes of the requests, one after the other; many cost less together."""

        async def ask() -> list[Outcome]:
            return [await self._ask(request) for request in requests]

        # The threads that Connexion works in end with the task that they were started in.
        return self._loop.run(ask())

    async def _ask(self, request: Request) -> Outcome:
        self._heard = {}
        status = await self._send(request)
        if self._heard:
            # Where several kinds of answer are described, Connexion does not know how to send ours; it did accept.
            status = ACCEPTED
        found: dict[str, dict[str, Any]] = {}
        for place in ("path", "query"):
            names = _names(self._apis[request.operation.api], request.operation, place)
            # The names that handlers see have lost every character that Python would not take.
            found[place] = {n: self._heard[g] for n in names if (g := re.sub(r"\W", "", n)) in self._heard}
        return Outcome(status, found["path"], found["query"], self._heard.get("body"))

    def close(self) -> None:
        self._loop.close()

    async def _send(self, request: Request) -> int:
        incoming = [{"type": "http.request", "body": request.body or b"", "more_body": False}]
        answers: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            answers.append(message)

        await self._app(self._scope(request), receive, send)
        return int(answers[0]["status"])

    def _scope(self, request: Request) -> dict[str, Any]:
        headers = [(b"host", b"localhost"), *self._SECRETS]
        if request.body is not None:
            length = (b"content-length", b"%d" % len(request.body))
            headers.append((b"transfer-encoding", b"chunked") if request.chunked else length)
            if request.content_type is not None:
                headers.append((b"content-type", request.content_type.encode()))
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.operation.method.upper(),
            "scheme": "http",
            "path": unquote(request.target),
            "raw_path": request.target.encode(),
            "query_string": request.query.encode("latin-1"),
            "root_path": "",
            "headers": headers,
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
        }


class _Listened(ServiceError):
    status = ACCEPTED


class _ListenerResolver(Resolver):  # type: ignore[misc]  # Connexion is untyped
    """Resolves each operationId to a handler that listens."""

    def __init__(self, api: Api, listener: Callable[[Api, Operation], Handler]) -> None:
        super().__init__()
        self._api, self._listener = api, listener
        self._operations = {operation.operation_id: operation for operation in api.operations}

    def resolve(self, operation: AbstractOperation) -> Resolution:
        return Resolution(self._listener(self._api, self._operations[operation.operation_id]), operation.operation_id)


class Ours:
    """This server's pipeline: its plans and its door, with listening handlers, for a service that may do everything."""

    def __init__(self, apis: list[Api], database: Database) -> None:
        config = Config(session_secret=_SECRET)
        self._heard: dict[str, Any] = {}
        self._app = LeanFlask(RequestLog(io.StringIO()), Metrics(), config)
        services = Services(config, chosen_accounts(config, database))
        dispatcher = Dispatcher(database, TokenVerifier.from_config(config), services)
        for api in map(_for_services, apis):
            PlanApi(api, dispatcher, self._app, _ListenerResolver(api, self._listener))

    def _listener(self, api: Api, operation: Operation) -> Handler:
        path = {snake_case(name): name for name in _names(api, operation, "path")}
        body = {"body"} if "requestBody" in operation.definition else set()
        success = api.resolved(operation.definition["responses"].get("200", {}))
        choice = {"media_type"} if len(success.get("content", {})) > 1 else set()

        def listen(
            _ctx: Context,
            query: dict[str, Any],
            body: Any = None,
            media_type: str = "",  # noqa: ARG001 - offered
            **values: str,
        ) -> Any:
            self._heard = {
                "path": {path[name]: value for name, value in values.items()},
                "query": query,
                "body": body,
            }
            raise _Listened

        return Handler(listen, frozenset({"query", *path, *body, *choice}))

    def ask(self, request: Request) -> Outcome:
        """What becomes of `request` here."""
        self._heard = {}
        environ: dict[str, Any] = {"QUERY_STRING": request.query}
        if request.body is not None:
            environ["wsgi.input"] = io.BytesIO(request.body)
            environ["CONTENT_TYPE"] = request.content_type or ""
            environ["CONTENT_LENGTH"] = "" if request.chunked else str(len(request.body))
            if request.chunked:
                environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        client = WsgiClient(self._app, use_cookies=False)
        headers = {"X-Tidepool-Session-Token": mint(_SECRET, "oracle", service=True, lifetime=timedelta(hours=1))}
        method = request.operation.method.upper()
        answer = client.open(request.target, method=method, headers=headers, environ_overrides=environ)
        heard, broken = self._heard, [violation["rule"] for violation in answer.get_json().get("errors", [])]
        values = heard.get("path", {}), heard.get("query", {}), heard.get("body")
        return Outcome(answer.status_code, *values, frozenset(broken))


def _for_services(api: Api) -> Api:
    operations = [replace(o, definition={**o.definition, **_SERVICES}) for o in api.operations]
    return Api(api.name, Bundle(api.document, api.bundle.root), tuple(operations))
