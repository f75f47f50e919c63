"""Connexion binds the spec to Flask: each operation becomes a URL rule whose view runs the operation's plan.

Connexion loads the document, resolves references and operationIds and walks the paths; its routing hook
(`AbstractRoutingAPI`, three methods with an underscore, hence the exact pin of 3.3) hands every operation to us. Flask
then routes and calls the view. Sessions, signals and request hooks of Flask are left out: nothing here uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import flask
from flask.sessions import SessionInterface
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import Map

from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.exchange import REQUEST_ID_HEADER, Exchange, RawAnswer
from clinic_service.api.framework import (
    AbstractOperation,
    AbstractRoutingAPI,
    OpenAPISpecification,
    Resolution,
    Resolver,
)
from clinic_service.api.log import RequestLog
from clinic_service.api.metrics import Metrics
from clinic_service.api.plan import Plan
from clinic_service.api.problems import answer_failure
from clinic_service.specification.apis import Api

_EXCHANGE = "clinic_service.exchange"
View = Callable[..., RawAnswer]


class _NoSession(SessionInterface):
    def open_session(self, app: flask.Flask, request: flask.Request) -> None:  # noqa: ARG002 - Flask's signature
        return None


class LeanFlask(flask.Flask):
    """Flask's routing and request context, and one place where every answer, good or bad, passes."""

    session_interface = _NoSession()

    def __init__(self, log: RequestLog, metrics: Metrics) -> None:
        super().__init__("clinic_service", static_folder=None)
        self._log, self._metrics = log, metrics
        # Paths match exactly: `//` is not `/`, and a slash at the end makes another address.
        self.url_map = Map(strict_slashes=True, merge_slashes=False, redirect_defaults=False)

    def full_dispatch_request(self, *_context: Any) -> Any:
        """Carry out the current request, whatever happens, and leave a trace of it in log and metrics."""
        exchange = Exchange(flask.request.environ)
        flask.request.environ[_EXCHANGE] = exchange
        try:
            answer = self._view()
        except Exception as error:
            answer = answer_failure(error, exchange)
        answer.headers.append((REQUEST_ID_HEADER, exchange.request_id))
        seconds = exchange.seconds
        if exchange.operation_id:
            self._metrics.count(exchange.operation_id, exchange.environ["REQUEST_METHOD"], answer.status, seconds)
        self._log.write(exchange, answer.status, seconds)
        return answer

    def _view(self) -> RawAnswer:
        request = flask.request
        if request.routing_exception is not None:
            raise request.routing_exception
        assert request.url_rule is not None
        if request.environ["REQUEST_METHOD"] != request.method:
            # Flask takes `get` for GET; to HTTP, and to the metrics, they are different.
            raise MethodNotAllowed(request.url_rule.methods)
        view = cast(View, self.view_functions[request.url_rule.endpoint])
        return view(**(request.view_args or {}))


class PlanApi(AbstractRoutingAPI):  # type: ignore[misc]  # Connexion is untyped
    """Adds a URL rule to `app` for each operation of one API."""

    def __init__(self, api: Api, plans: Mapping[str, Plan], dispatcher: Dispatcher, app: LeanFlask) -> None:
        self._plans, self._dispatcher, self._app = plans, dispatcher, app
        super().__init__(_CheckedSpecification(api.document), base_path="", resolver=_PlanResolver(plans))

    def make_operation(self, operation: AbstractOperation) -> View:
        plan = self._plans[operation.operation_id]
        dispatcher = self._dispatcher

        def view(**path: str) -> RawAnswer:
            exchange: Exchange = flask.request.environ[_EXCHANGE]
            exchange.operation_id = plan.operation_id
            return dispatcher.run(plan, exchange, path)

        return view

    @staticmethod
    def _framework_path_and_name(operation: AbstractOperation, path: str) -> tuple[str, str]:
        return path.replace("{", "<").replace("}", ">"), operation.operation_id

    def _add_operation_internal(self, method: str, path: str, operation: View, name: str | None = None) -> None:
        self._app.add_url_rule(path, name, operation, methods=[method], provide_automatic_options=False)


class _PlanResolver(Resolver):  # type: ignore[misc]  # Connexion is untyped
    """Every operationId has a plan, also one without a handler: that plan answers 501."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        super().__init__()
        self._plans = plans

    def resolve(self, operation: AbstractOperation) -> Resolution:
        return Resolution(self._plans[operation.operation_id], operation.operation_id)


class _CheckedSpecification(OpenAPISpecification):  # type: ignore[misc]  # Connexion is untyped
    """A document that `spec check` has judged: validating it again takes a third of the start-up."""

    @classmethod
    def _validate_spec(cls, spec: dict[str, Any]) -> None:
        """Nothing to do."""
