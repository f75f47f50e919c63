"""MockDispatcher: the pipeline of the service without its database."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from clinic_service.api.dispatch import Arguments, BaseDispatcher
from clinic_service.api.exchange import Exchange, RawAnswer
from clinic_service.api.operations import Handler
from clinic_service.api.plan import Plan
from clinic_service.auth.caller import Caller
from clinic_service.auth.rules import AccessCheck
from clinic_service.mock.access import ANYBODY, NO_DATABASE, OpenAccess, Undecided
from clinic_service.mock.answers import Asked


class MockDispatcher(BaseDispatcher):
    """Reads and refuses requests as the service does, and calls an operation's `Answers` without a transaction."""

    def _caller(self, plan: Plan, environ: dict[str, Any]) -> Caller:
        if isinstance(plan.access, OpenAccess):
            plan.access.require_credentials(environ)
            return ANYBODY
        return super()._caller(plan, environ)

    def _authorize_alone(self, plan: Plan, caller: Caller, path: dict[str, str]) -> None:
        # A rule that only the database could decide admits the caller.
        with suppress(Undecided):
            plan.access.authorize(AccessCheck(caller, path, NO_DATABASE, keeps_accounts=False))

    def _arguments(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> dict[str, Any]:
        # The arguments of a handler are only read to refuse invalid requests.
        super()._arguments(plan, exchange, path)
        return {"asked": Asked.by(exchange.environ)}

    def _carry_out(
        self, plan: Plan, handler: Handler, caller: Caller, path: dict[str, str], arguments: Arguments
    ) -> RawAnswer:
        self._authorize_alone(plan, caller, path)
        answers: Any = handler.work
        answer, applied = answers(**arguments.get())
        raw = self._answer(plan, answer)
        raw.headers.extend(applied)
        return raw
