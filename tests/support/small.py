"""An application made of a few hand-written operations, to look at the pipeline without the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.framework import AbstractOperation, Resolution, Resolver
from clinic_service.api.log import RequestLog
from clinic_service.api.operations import Handler, find_handlers, handler_name
from clinic_service.api.parameters import Parameters, compile_parameters
from clinic_service.api.plan import Plan, compile_plan
from clinic_service.api.routing import LeanFlask, PlanApi
from clinic_service.api.validation import Validators
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.metrics.counters import Metrics
from clinic_service.preparation import Phases, Services
from clinic_service.specification.apis import METHODS, Api, Operation
from clinic_service.specification.bundle import Bundle
from clinic_service.specification.source import Place

Paths = dict[str, dict[str, Any]]
Work = Callable[..., Any] | Phases[Any]
JSON_ANSWER = {"200": {"description": "Done.", "content": {"application/json": {"schema": {}}}}}
EMPTY_ANSWER = {"204": {"description": "Done."}}
ANYBODY = ["service", "person"]
DEFAULTS: dict[str, Any] = {"parameters": [], "security": [{"sessionToken": []}]}


def operation(operation_id: str, **members: Any) -> dict[str, Any]:
    """An OpenAPI operation that anybody signed in may call and that answers any JSON, unless `members` say otherwise."""
    return {"operationId": operation_id, "x-access": ANYBODY, "x-audit": "none", "responses": JSON_ANSWER, **members}


def json_body(schema: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def small_api(paths: Paths, schemas: dict[str, Any] | None = None) -> Api:
    """An API with these paths and named schemas."""
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Small", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas or {}},
    }
    operations = tuple(
        Operation("small", method, path, {**DEFAULTS, **item[method]}, Place(Path("small.yaml")))
        for path, item in paths.items()
        for method in METHODS
        if method in item
    )
    return Api("small", Bundle(document, Place(Path("small.yaml"))), operations)


class FunctionResolver(Resolver):  # type: ignore[misc]  # Connexion is untyped
    """Resolves operationIds to `functions`, by their names, as Connexion walks an API."""

    def __init__(self, functions: Iterable[Work]) -> None:
        super().__init__()
        self._by_name = _by_name(functions)

    def resolve(self, operation: AbstractOperation) -> Resolution:
        return Resolution(_handler(operation.operation_id, self._by_name), operation.operation_id)


def compile_plans(apis: Iterable[Api]) -> dict[str, Plan]:
    """The plan of every operation of the real APIs by operationId, without an application. Raises PlanError."""
    apis = list(apis)
    handlers = find_handlers(operation for api in apis for operation in api.operations)
    plans: dict[str, Plan] = {}
    for api in apis:
        validators = Validators(api.document)
        for o in api.operations:
            plans[o.operation_id] = compile_plan(api, o, validators, handlers.get(o.operation_id))
    return plans


def small_plans(api: Api, *functions: Work) -> dict[str, Plan]:
    """The plans of `api`; `functions` are its handlers."""
    by_name = _by_name(functions)
    return {
        o.operation_id: compile_plan(api, o, Validators(api.document), _handler(o.operation_id, by_name))
        for o in api.operations
    }


def _by_name(functions: Iterable[Work]) -> dict[str, Work]:
    return {(f.handler if isinstance(f, Phases) else f).__name__: f for f in functions}


def _handler(operation_id: str, by_name: Mapping[str, Work]) -> Handler | None:
    work = by_name.get(handler_name(operation_id))
    return None if work is None else Handler.of(work)


def small_app(
    database: Database,
    config: Config,
    paths: Paths,
    *functions: Work,
    schemas: dict[str, Any] | None = None,
    log: RequestLog | None = None,
) -> LeanFlask:
    """The application for these paths, put together as `create_app` does it."""
    api = small_api(paths, schemas)
    app = LeanFlask(log or RequestLog(), Metrics(), config)
    services = Services(config, chosen_accounts(config, database))
    dispatcher = Dispatcher(database, TokenVerifier.from_config(config), services)
    PlanApi(api, dispatcher, app, FunctionResolver(functions))
    return app


def small_parameters(*declared: dict[str, Any], schemas: dict[str, Any] | None = None) -> Parameters:
    """The compiled parameters of an operation that declares these."""
    api = small_api({}, schemas)
    return compile_parameters(api, {"parameters": list(declared)}, Validators(api.document))
