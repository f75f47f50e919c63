"""create_app: the only place where the parts are put together."""

from __future__ import annotations

from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.log import RequestLog
from clinic_service.api.metrics import Metrics
from clinic_service.api.operations import find_handlers
from clinic_service.api.pages import add_pages
from clinic_service.api.plan import Plan, compile_plan
from clinic_service.api.routing import LeanFlask, PlanApi
from clinic_service.api.validation import Validators
from clinic_service.config import Config
from clinic_service.context import Services
from clinic_service.db.engine import Database, open_database
from clinic_service.db.readiness import Readiness
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.openid import chosen_openid
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.specification.apis import Api, load_apis


def create_app(
    config: Config,
    database: Database | None = None,
    *,
    apis: list[Api] | None = None,
    log: RequestLog | None = None,
) -> LeanFlask:
    """The WSGI application for `config`.

    Raises SpecError or PlanError when the spec cannot be served, and ConfigError when a setting is missing.
    """
    database = database or open_database(config)
    apis = apis if apis is not None else load_apis()
    services = Services(config, chosen_accounts(config, database), chosen_openid(config))
    dispatcher = Dispatcher(database, TokenVerifier.from_config(config), services)
    app = LeanFlask(log or RequestLog(), Metrics(), config)
    plans = compile_plans(apis)
    for api in apis:
        PlanApi(api, plans, dispatcher, app)
    add_pages(app, apis, Readiness(database), prefix=config.path_prefix or "")
    return app


def compile_plans(apis: list[Api]) -> dict[str, Plan]:
    """The plan of every operation by operationId. Raises PlanError."""
    handlers = find_handlers(operation for api in apis for operation in api.operations)
    plans: dict[str, Plan] = {}
    for api in apis:
        validators = Validators(api.document)
        for operation in api.operations:
            handler = handlers.get(operation.operation_id)
            plans[operation.operation_id] = compile_plan(api, operation, validators, handler)
    return plans
