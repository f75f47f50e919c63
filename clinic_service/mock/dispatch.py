"""MockDispatcher: the pipeline of the service without its database."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from clinic_service.api.dispatch import BaseDispatcher
from clinic_service.api.plan import Plan
from clinic_service.api.request import Request
from clinic_service.auth.caller import Caller
from clinic_service.auth.rules import AccessCheck
from clinic_service.config import Config
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.mock.access import ANYBODY, NO_DATABASE, OpenAccess, Undecided
from clinic_service.mock.answers import Asked


class MockDispatcher(BaseDispatcher):
    """Reads and refuses requests as the service does, and calls an operation's `Answers` without a transaction."""

    def __init__(self, config: Config, tokens: TokenVerifier) -> None:
        super().__init__(config, tokens)
        self.stages = (
            self.identify,
            self.authorize_early,
            self.read,
            self.authorize_alone,
            self.require_readable,
            self.answer,
            self.add_headers,
        )

    def authorize_alone(self, request: Request) -> None:
        # A rule that only the database could decide admits the caller.
        with suppress(Undecided):
            check = AccessCheck(request.caller, request.path, NO_DATABASE, keeps_accounts=False)
            request.plan.access.authorize(check)

    def answer(self, request: Request) -> None:
        """Choose or generate the answer that the request asks for."""
        request.result, applied = request.work(**request.arguments)
        self.check_answer(request)
        request.answer.headers.extend(applied)

    def _caller(self, plan: Plan, environ: dict[str, Any]) -> Caller:
        if isinstance(plan.access, OpenAccess):
            plan.access.require_credentials(environ)
            return ANYBODY
        return super()._caller(plan, environ)

    def _arguments(self, request: Request) -> dict[str, Any]:
        # The arguments of a handler are only read to refuse invalid requests.
        super()._arguments(request)
        return {"asked": Asked.by(request.exchange.environ)}
