"""create_app: the only place that builds the application from its parts."""

from __future__ import annotations

from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.log import RequestLog
from clinic_service.api.metrics import Metrics
from clinic_service.api.operations import refuse_strays
from clinic_service.api.pages import add_pages
from clinic_service.api.routing import LeanFlask, PlanApi
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
    for api in apis:
        PlanApi(api, dispatcher, app)
    refuse_strays(operation for api in apis for operation in api.operations)
    add_pages(app, apis, Readiness(database), prefix=config.path_prefix or "")
    return app
