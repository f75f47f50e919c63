"""create_app: the only place that builds the application from its parts."""

from __future__ import annotations

from clinic_service.api.audit import Auditor
from clinic_service.api.caller_keys import CallerKeys
from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.log import RequestLog
from clinic_service.api.metrics_page import add_metrics
from clinic_service.api.operations import refuse_strays
from clinic_service.api.pages import add_pages, add_reference
from clinic_service.api.routing import LeanFlask, PlanApi
from clinic_service.api.viewer import add_viewer
from clinic_service.audit.choice import chosen_log
from clinic_service.audit.log import AuditLog
from clinic_service.auth.partners import warn_of_missing_secrets
from clinic_service.config import Config
from clinic_service.db.engine import Database, open_database
from clinic_service.db.readiness import Readiness
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.openid import chosen_openid
from clinic_service.gateways.restricted_tokens.choice import chosen_restricted_tokens
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.gateways.xealth import chosen_xealth
from clinic_service.metrics.collectors import create_collectors
from clinic_service.metrics.counters import Metrics
from clinic_service.preparation import Services
from clinic_service.specification.apis import Api, load_apis


def create_app(
    config: Config,
    database: Database | None = None,
    *,
    apis: list[Api] | None = None,
    log: RequestLog | None = None,
    audit_log: AuditLog | None = None,
) -> LeanFlask:
    """The WSGI application for `config`.

    Raises SpecError or PlanError when the spec cannot be served, and ConfigError when a setting is missing.
    """
    database = database or open_database(config)
    apis = apis if apis is not None else load_apis()
    services = Services(
        config,
        accounts=chosen_accounts(config, database),
        openid=chosen_openid(config),
        xealth=chosen_xealth(config),
        restricted_tokens=chosen_restricted_tokens(config, database),
    )
    audit_log = audit_log or chosen_log(config, database.url.render_as_string(hide_password=False))
    auditor = Auditor(audit_log) if audit_log else None
    tokens = TokenVerifier.from_config(config)
    dispatcher = Dispatcher(database, tokens, services, auditor)
    app = LeanFlask(log or RequestLog(), Metrics(), config, caller_key=CallerKeys(tokens, config.proxies))
    for api in apis:
        PlanApi(api, dispatcher, app)
    warn_of_missing_secrets(config)
    refuse_strays(operation for api in apis for operation in api.operations)
    readiness, prefix = Readiness(database, audit_log.obstacle if audit_log else None), config.path_prefix or ""
    add_viewer(app, config)
    add_metrics(app, config, create_collectors(config, database))
    add_pages(app, apis, readiness.health, prefix=prefix)
    add_reference(app, apis, prefix=prefix)
    return app
