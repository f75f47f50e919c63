"""Connexion binds the spec to Flask: each operation becomes a URL rule whose view runs the operation's plan.

Connexion loads the document, resolves references and operationIds and walks the paths; its routing hook
(`AbstractRoutingAPI`, three methods with an underscore, hence the exact pin of 3.3) hands every operation to us. The
Flask application's URL map then routes, and its view functions answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import flask
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

View = Callable[..., RawAnswer]


class LeanFlask(flask.Flask):
    """Flask's URL map and views without its request context, and one place where every answer, good or bad, passes.

    The context costs more than a look-up in the database, and nothing here reads it: what a request is, is in its
    `Exchange`, which every view is given.
    """

    def __init__(self, log: RequestLog, metrics: Metrics) -> None:
        super().__init__("clinic_service", static_folder=None)
        self._log, self._metrics = log, metrics
        # Paths match exactly: `//` is not `/`, and a slash at the end makes another address.
        self.url_map = Map(strict_slashes=True, merge_slashes=False, redirect_defaults=False)
        # Neither host nor scheme decides where a request goes.
        self._routes = self.url_map.bind("localhost")

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Carry out one request, whatever happens, and leave a trace of it in log and metrics."""
        exchange = Exchange(environ)
        try:
            answer = self._answer(exchange)
        except Exception as error:
            answer = answer_failure(error, exchange)
        answer.headers.append((REQUEST_ID_HEADER, exchange.request_id))
        seconds = exchange.seconds
        if exchange.operation_id:
            self._metrics.count(exchange.operation_id, environ["REQUEST_METHOD"], answer.status, seconds)
        self._log.write(exchange, answer.status, seconds)
        return answer(environ, start_response)

    def _answer(self, exchange: Exchange) -> RawAnswer:
        environ = exchange.environ
        # WSGI hands the decoded bytes of the path over as latin-1.
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        method = environ["REQUEST_METHOD"]
        rule, values = self._routes.match(path, method, return_rule=True)
        if method not in (rule.methods or ()):
            # Werkzeug takes `get` for GET; to HTTP, and to the metrics, they are different.
            raise MethodNotAllowed(rule.methods)
        view = cast(View, self.view_functions[rule.endpoint])
        return view(exchange, **values)


class PlanApi(AbstractRoutingAPI):  # type: ignore[misc]  # Connexion is untyped
    """Adds a URL rule to `app` for each operation of one API."""

    def __init__(self, api: Api, plans: Mapping[str, Plan], dispatcher: Dispatcher, app: LeanFlask) -> None:
        self._plans, self._dispatcher, self._app = plans, dispatcher, app
        super().__init__(_CheckedSpecification(api.document), base_path="", resolver=_PlanResolver(plans))

    def make_operation(self, operation: AbstractOperation) -> View:
        plan = self._plans[operation.operation_id]
        dispatcher = self._dispatcher

        def view(exchange: Exchange, **path: str) -> RawAnswer:
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
