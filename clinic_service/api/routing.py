"""Connexion binds the spec to Flask: each operation becomes a URL rule whose view runs the operation's plan.

Connexion loads the document, resolves references and operationIds and walks the paths; its routing hook
(`AbstractRoutingAPI`, four methods with an underscore, hence the exact pin of 3.3) hands every operation to us. The
Flask application's URL map then routes, and its view functions answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import flask
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import Map, Rule

from clinic_service.api.addresses import request_path
from clinic_service.api.compression import compress
from clinic_service.api.cors import CrossOrigin
from clinic_service.api.dispatch import BaseDispatcher
from clinic_service.api.exchange import Exchange, RawAnswer
from clinic_service.api.framework import (
    AbstractOperation,
    AbstractRoutingAPI,
    OpenAPISpecification,
    Resolution,
    Resolver,
)
from clinic_service.api.log import RequestLog
from clinic_service.api.operations import Handler, find_handler
from clinic_service.api.plan import Plan, compile_plan
from clinic_service.api.problems import answer_failure
from clinic_service.api.validation import Validators
from clinic_service.config import Config
from clinic_service.errors import ServiceError
from clinic_service.metrics.counters import Metrics, count_lost_lines, count_refusal, count_refused
from clinic_service.specification.apis import Api, Operation
from clinic_service.tracing import PLAIN_REQUEST_ID_HEADER, REQUEST_ID_HEADER

View = Callable[..., RawAnswer]
# The metrics count the answers to preflight requests of browsers under this name.
_PREFLIGHT = "preflight"
# The number of addresses whose routes are remembered, and the length of the longest one, so that they take less than 1 MB.
_REMEMBERED = 1024
_LONGEST_REMEMBERED = 160
# How long a WSGI server waits until the line about an answer is on the disk.
_LINE_SECONDS = 10


class BoundOperation(NamedTuple):
    """The view of an operation, and its admission: how many bytes of the body it reads from this caller."""

    view: View
    admission: Callable[..., int]


class LeanFlask(flask.Flask):
    """Flask's URL map and views without its request context, and one place where every answer, good or bad, passes.

    The context costs more than a look-up in the database, and nothing here reads it: every view receives
    the request as an `Exchange`.
    """

    def __init__(
        self,
        log: RequestLog,
        metrics: Metrics,
        config: Config,
        *,
        caller_key: Callable[[Mapping[str, Any]], str] = lambda _: "",
    ) -> None:
        """`caller_key`: see `CallerKeys`; without it, all requests are of one caller."""
        super().__init__("clinic_service", static_folder=None)
        self.caller_key = caller_key
        self._log, self._metrics = log, metrics
        self._prefix = config.path_prefix or ""
        self._compresses = config.compression == "on"
        self._cross_origin = CrossOrigin(config.origins)
        self._operations: dict[str, BoundOperation] = {}
        # Paths match exactly: `//` is not `/`, and a slash at the end makes another address.
        self.url_map = Map(strict_slashes=True, merge_slashes=False, redirect_defaults=False)
        # Neither host nor scheme decides where a request goes.
        self._find_route = partial(self.url_map.bind("localhost").match, return_rule=True)
        # Clients ask for the same addresses again, and to find a route takes about 15 µs.
        self._remembered_route = lru_cache(_REMEMBERED)(self._find_route)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "wsgi_app":
            raise TypeError(
                "A middleware around wsgi_app has no effect, because `clinic-service serve` does not call it. "
                "Code for every request belongs in api/dispatch.py, and code for every answer in LeanFlask."
            )
        super().__setattr__(name, value)

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Carry out one request, for WSGI servers; `answer` is what `clinic-service serve` calls."""
        answer = self.answer(environ)
        if answer.line:
            failure = answer.line.log.write(answer.line.text, _LINE_SECONDS)
            answer = self.refuse(failure, environ) if failure else answer
        return answer(environ, start_response)

    def answer(self, environ: dict[str, Any]) -> RawAnswer:
        """Carry out one request, and record it in the log and the metrics, even when it fails.

        The answer must not be sent before its `line` is written, nor when the line cannot be written.
        """
        exchange = Exchange(environ)
        try:
            answer = self._answer(exchange)
        except Exception as error:
            answer = self._failed(error, exchange)
        return self._finished(answer, exchange)

    def admit(self, environ: dict[str, Any]) -> RawAnswer | int:
        """Check a request by its head, before its body is read.

        Returns how many bytes of the body may be read, or the answer that refuses the request.
        """
        exchange = Exchange(environ)
        try:
            rule, values = self._match(exchange)
            operation = self._operations.get(rule.endpoint)
            return operation.admission(exchange, **values) if operation else 0
        except Exception as error:
            return self._finished(self._failed(error, exchange), exchange)

    def refuse(self, refusal: ServiceError, environ: dict[str, Any]) -> RawAnswer:
        """The answer to a request that the server refused by itself, counted and logged like all other answers."""
        exchange = Exchange(environ)
        with suppress(Exception):
            count_refused(refusal.status)
        return self._finished(self._failed(refusal, exchange), exchange)

    def add_operation(self, rule: str, method: str, name: str, operation: BoundOperation) -> None:
        """Bind `operation` to its address and method."""
        self._operations[name] = operation
        self.add_url_rule(rule, name, operation.view, methods=[method], provide_automatic_options=False)

    def _answer(self, exchange: Exchange) -> RawAnswer:
        try:
            rule, values = self._match(exchange)
        except MethodNotAllowed as refusal:
            preflight = self._cross_origin.preflight(exchange.environ, refusal.valid_methods or ())
            if preflight is None:
                raise
            exchange.route = _PREFLIGHT
            return preflight
        view = cast(View, self.view_functions[rule.endpoint])
        return view(exchange, **values)

    def _match(self, exchange: Exchange) -> tuple[Rule, Mapping[str, Any]]:
        method = exchange.environ["REQUEST_METHOD"]
        path = request_path(exchange.environ, self._prefix)
        find = self._remembered_route if len(path) <= _LONGEST_REMEMBERED else self._find_route
        rule, values = find(path, method)
        if method not in (rule.methods or ()):
            # Werkzeug takes `get` for GET; to HTTP, and to the metrics, they are different.
            raise MethodNotAllowed(rule.methods)
        exchange.route = rule.endpoint
        return rule, values

    def _failed(self, error: Exception, exchange: Exchange) -> RawAnswer:
        """The answer to a request that failed with `error`, which is counted."""
        with suppress(Exception):
            count_refusal(error)
        return answer_failure(error, exchange)

    def _finished(self, answer: RawAnswer, exchange: Exchange) -> RawAnswer:
        """`answer` with the headers of every answer. A failure in here must not change it: it may be committed."""
        answer.line = exchange.line
        answer.headers.extend(exchange.headers)
        answer.headers.append((REQUEST_ID_HEADER, exchange.request_id))
        answer.headers.append((PLAIN_REQUEST_ID_HEADER, exchange.request_id))
        answer.headers.append(("X-Content-Type-Options", "nosniff"))
        if exchange.operation_id or answer.status >= 400:
            answer.headers.append(("Cache-Control", "no-store"))
        try:
            self._cross_origin.mark(answer, exchange.environ)
            if self._compresses:
                compress(answer, exchange.environ.get("HTTP_ACCEPT_ENCODING", ""))
            self._note(answer, exchange)
        except Exception:
            with suppress(Exception):
                count_lost_lines()
        return answer

    def _note(self, answer: RawAnswer, exchange: Exchange) -> None:
        seconds = exchange.seconds
        self._metrics.count(exchange.route, exchange.environ["REQUEST_METHOD"], answer.status, seconds)
        self._log.write(exchange, answer.status, seconds)


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise TypeError(
            f"{name} has no effect on this application, which makes no request context. "
            "Code for every request belongs in api/dispatch.py, and code for every answer in LeanFlask."
        )

    return refuse


# Flask would accept these registrations, but never call the functions.
for _name in (
    "before_request",
    "after_request",
    "teardown_request",
    "teardown_appcontext",
    "errorhandler",
    "register_error_handler",
    "register_blueprint",
    "url_value_preprocessor",
    "url_defaults",
    "context_processor",
    "shell_context_processor",
    "endpoint",
    "template_filter",
    "template_global",
    "template_test",
):
    setattr(LeanFlask, _name, _refusing(_name))


class HandlerResolver(Resolver):  # type: ignore[misc]  # Connexion is untyped
    """Resolves the operationIds of one API for Connexion: to a Handler, or to None for an operation without one."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._operations = {operation.operation_id: operation for operation in api.operations}

    def resolve(self, operation: AbstractOperation) -> Resolution:
        return Resolution(find_handler(self._operations[operation.operation_id]), operation.operation_id)


class PlanApi(AbstractRoutingAPI):  # type: ignore[misc]  # Connexion is untyped
    """Adds a URL rule to `app` for each operation of one API.

    Connexion walks the document and has `resolver` find the handlers. What it hands over is compiled into a plan; an
    operation without a handler gets one that answers 501. Raises PlanError. A subclass may compile plans in another way.
    """

    def __init__(self, api: Api, dispatcher: BaseDispatcher, app: LeanFlask, resolver: Resolver | None = None) -> None:
        self._api, self._dispatcher, self._app = api, dispatcher, app
        self._operations = {operation.operation_id: operation for operation in api.operations}
        self._validators = Validators(api.document)
        super().__init__(_CheckedSpecification(self.walked()), base_path="", resolver=resolver or HandlerResolver(api))

    def walked(self) -> dict[str, Any]:
        """The document that Connexion walks."""
        return self._api.document

    def compile(self, described: Operation, handler: Handler | None) -> Plan:
        """The plan of an operation with what the resolver found for it."""
        return compile_plan(self._api, described, self._validators, handler)

    def make_operation(self, operation: AbstractOperation) -> BoundOperation:
        plan = self.compile(self._operations[operation.operation_id], operation.function)
        dispatcher = self._dispatcher
        dispatcher.plans[plan.operation_id] = plan

        def view(exchange: Exchange, **path: str) -> RawAnswer:
            exchange.operation_id = plan.operation_id
            return dispatcher.run(plan, exchange, path)

        def admission(exchange: Exchange, **path: str) -> int:
            exchange.operation_id = plan.operation_id
            return dispatcher.admit(plan, exchange, path)

        return BoundOperation(view, admission)

    @staticmethod
    def _framework_path_and_name(operation: AbstractOperation, path: str) -> tuple[str, str]:
        return path.replace("{", "<").replace("}", ">"), operation.operation_id

    def _add_operation_internal(self, method: str, path: str, operation: BoundOperation, name: str) -> None:
        self._app.add_operation(path, method, name, operation)

    def _handle_add_operation_error(self, path: str, method: str, exc: Exception) -> None:  # noqa: ARG002
        # The library would log the error too; the caller of `create_app` reports it.
        raise exc


class _CheckedSpecification(OpenAPISpecification):  # type: ignore[misc]  # Connexion is untyped
    """A document that `spec check` has checked: validating it again would take a third of the start-up time."""

    @classmethod
    def _validate_spec(cls, spec: dict[str, Any]) -> None:
        """Nothing to do."""
