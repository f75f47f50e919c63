"""create_mock: creates the application that answers from documents, as `create_app` does for the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clinic_service.api.log import RequestLog
from clinic_service.api.metrics_page import add_metrics
from clinic_service.api.pages import add_pages, add_reference
from clinic_service.api.routing import LeanFlask
from clinic_service.config import Config
from clinic_service.db.readiness import Health
from clinic_service.gateways.session_keys import KeyRing
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.metrics.collectors import ServerProcesses
from clinic_service.metrics.counters import Metrics
from clinic_service.mock.dispatch import MockDispatcher
from clinic_service.mock.document import line_of
from clinic_service.mock.plans import MockPlans, compile_mock
from clinic_service.mock.routing import MockApi
from clinic_service.specification.apis import API_NAMES, Api
from clinic_service.specification.source import SpecError


@dataclass(frozen=True)
class Choices:
    """The operator's options: the seed of generated values, and whether tokens and access rules are checked."""

    seed: int = 0
    auth: bool = False


def create_mock(
    config: Config,
    apis: list[Api],
    choices: Choices,
    *,
    log: RequestLog | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> LeanFlask:
    """The WSGI application that answers the operations of `apis`.

    `tell` is called with a line for each part of a document that is only partly served. Raises SpecError when a document
    cannot be served, and ConfigError when tokens must be checked and no keys are configured.
    """
    # Otherwise no token is checked, so no key is needed.
    tokens = TokenVerifier.from_config(config) if choices.auth else TokenVerifier(KeyRing(None))
    dispatcher = MockDispatcher(config, tokens)
    app = LeanFlask(log or RequestLog(), Metrics(), config)
    for api in apis:
        MockApi(api, _compiled(api, choices, tell), dispatcher, app)
    add_metrics(app, config, [ServerProcesses()])
    prefix = config.path_prefix or ""
    add_pages(app, apis, lambda: Health.OK, prefix=prefix)
    if tuple(api.name for api in apis) == API_NAMES:
        add_reference(app, apis, prefix=prefix)
    return app


def _compiled(api: Api, choices: Choices, tell: Callable[[str], object]) -> MockPlans:
    made = compile_mock(api, seed=str(choices.seed), auth=choices.auth)
    for place, message in made.faults:
        raise SpecError(place.file, line_of(place), message)
    for line in sorted({f"{place.file}:{line_of(place)}: {message}" for place, message in made.notes}):
        tell(line)
    return made
