"""An application made of a few hand-written operations, to look at the pipeline without the domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.log import RequestLog
from clinic_service.api.metrics import Metrics
from clinic_service.api.operations import Handler, handler_name
from clinic_service.api.parameters import Parameters, compile_parameters
from clinic_service.api.plan import Plan, compile_plan
from clinic_service.api.routing import LeanFlask, PlanApi
from clinic_service.api.validation import Validators
from clinic_service.config import Config
from clinic_service.context import Services
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.specification.apis import METHODS, Api, Operation
from clinic_service.specification.bundle import Bundle
from clinic_service.specification.source import Place

Paths = dict[str, dict[str, Any]]
JSON_ANSWER = {"200": {"description": "Done.", "content": {"application/json": {"schema": {}}}}}
EMPTY_ANSWER = {"204": {"description": "Done."}}
ANYBODY = ["service", "person"]


def operation(operation_id: str, **members: Any) -> dict[str, Any]:
    """An OpenAPI operation that anybody signed in may call and that answers any JSON, unless `members` say otherwise."""
    return {"operationId": operation_id, "x-access": ANYBODY, "responses": JSON_ANSWER, **members}


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
        Operation("small", method, path, {"parameters": [], **item[method]}, Place(Path("small.yaml")))
        for path, item in paths.items()
        for method in METHODS
        if method in item
    )
    return Api("small", Bundle(document, Place(Path("small.yaml"))), operations)


def small_plans(api: Api, *functions: Callable[..., Any]) -> dict[str, Plan]:
    """The plans of `api`; `functions` are its handlers and, by their names, what prepares them."""
    by_name = {function.__name__: function for function in functions}
    return {
        o.operation_id: compile_plan(api, o, Validators(api.document), _handler(o, by_name)) for o in api.operations
    }


def _handler(operation: Operation, by_name: Mapping[str, Callable[..., Any]]) -> Handler | None:
    name = handler_name(operation.operation_id)
    function = by_name.get(name)
    if function is None:
        return None
    arguments = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    prepare, abandon = by_name.get(f"prepare_{name}"), by_name.get(f"abandon_{name}")
    return Handler(function, prepare, frozenset(arguments), abandon)


def small_app(
    database: Database,
    config: Config,
    paths: Paths,
    *functions: Callable[..., Any],
    schemas: dict[str, Any] | None = None,
    log: RequestLog | None = None,
) -> LeanFlask:
    """The application for these paths, put together as `create_app` does it."""
    api = small_api(paths, schemas)
    app = LeanFlask(log or RequestLog(), Metrics(), config)
    services = Services(config, chosen_accounts(config, database))
    PlanApi(api, small_plans(api, *functions), Dispatcher(database, TokenVerifier.from_config(config), services), app)
    return app


def small_parameters(*declared: dict[str, Any], schemas: dict[str, Any] | None = None) -> Parameters:
    """The compiled parameters of an operation that declares these."""
    api = small_api({}, schemas)
    return compile_parameters(api, {"parameters": list(declared)}, Validators(api.document))
