"""The one door. Every request of every operation passes through `run`, in this order:

token (401) → access (403) → parameters and body (400) → handler → answer check → outbox rows → commit.

Access is decided inside the transaction that the handler works in. An operation with a preparation (see
`preparation.py`) is authorized and read beforehand, prepared while no transaction is open, and authorized again. When
nothing is committed after that, its compensation undoes what the preparation did. When somebody else has changed
meanwhile what the preparation rests on, all of this is done again.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clinic_service import deadline
from clinic_service.api.bodies import may_be_large, require_length_within
from clinic_service.api.exchange import Exchange, RawAnswer, json_answer
from clinic_service.api.operations import Handler
from clinic_service.api.plan import JSON, Plan
from clinic_service.api.preferences import is_strict, preference_headers, wanted_media_type
from clinic_service.auth.caller import Caller
from clinic_service.auth.partners import partner_caller
from clinic_service.auth.rules import AccessCheck
from clinic_service.config import Config
from clinic_service.context import Answer, Context
from clinic_service.db.engine import Database
from clinic_service.errors import NotImplementedYet, ServiceError, Unauthenticated
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.preparation import Phases, Preparation, PreparationOutdated, Services
from clinic_service.serialization import to_json
from clinic_service.unit_of_work import UnitOfWork, run

_log = logging.getLogger("clinic_service.dispatch")
# How often a request is carried out when its preparation is outdated each time.
_TRIES = 5


class AnswerBreaksSpec(Exception):
    """A handler's answer does not fit the spec: a defect of ours, so nothing is stored and nothing of it is sent."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a handler is called with, or the reason why the request cannot be read."""

    values: dict[str, Any]
    refusal: ServiceError | None

    def get(self) -> dict[str, Any]:
        """The arguments. Raises the refusal."""
        if self.refusal:
            raise self.refusal
        return self.values


class BaseDispatcher(ABC):
    """Runs plans: reads requests and checks answers. A subclass says who may call, and where the work runs."""

    def __init__(self, config: Config, tokens: TokenVerifier) -> None:
        self._config = config
        self._tokens = tokens
        self._enforce = config.answer_check == "enforce"

    @abstractmethod
    def _authorize_alone(self, plan: Plan, caller: Caller, path: dict[str, str]) -> None:
        """Raise Forbidden, or Unauthenticated, unless `caller` may call the operation."""

    @abstractmethod
    def _carry_out(
        self, plan: Plan, handler: Handler, caller: Caller, path: dict[str, str], arguments: Arguments
    ) -> RawAnswer:
        """Authorize, raise the refusal of the arguments if there is one, let `handler` work and return its answer."""

    def run(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> RawAnswer:
        """Carry out one request in the time it has. Raises ServiceError for every refusal."""
        # The time that the request has waited for a thread counts.
        seconds = plan.seconds or self._config.request_seconds
        with deadline.limited(seconds - exchange.seconds):
            answer = self._run(plan, exchange, path)
        answer.headers.extend(preference_headers(exchange.environ))
        if len(plan.media_types) > 1:
            answer.headers.append(("Vary", "Accept"))
        return answer

    def _run(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> RawAnswer:
        caller = exchange.caller = self._caller(plan, exchange.environ)
        if plan.handler is None:
            self._authorize_alone(plan, caller, path)
            raise NotImplementedYet
        if plan.body and may_be_large(exchange.environ):
            self._authorize_alone(plan, caller, path)
        # Read before the transaction opens, so that decoding holds no lock. A refusal is raised once access is decided.
        arguments = self._read(plan, exchange, path)
        for _ in range(_TRIES - 1):
            with suppress(PreparationOutdated):
                return self._carry_out(plan, plan.handler, caller, path, arguments)
        return self._carry_out(plan, plan.handler, caller, path, arguments)

    def admit(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> int:
        """How many bytes of the body may be read. Raises what `run` would raise before it reads a body.

        A server asks this before it reads a large body, so that nobody pays for the body of a caller who is refused.
        """
        with deadline.limited(self._config.request_seconds):
            caller = exchange.caller = self._caller(plan, exchange.environ)
            self._authorize_alone(plan, caller, path)
        if plan.body is None:
            return 0
        require_length_within(exchange.environ, plan.body.limit)
        return plan.body.limit

    def _caller(self, plan: Plan, environ: dict[str, Any]) -> Caller:
        if plan.access.partner:
            return partner_caller(plan.access.partner, environ, self._config)
        token = environ.get("HTTP_X_TIDEPOOL_SESSION_TOKEN")
        # A header that was sent twice arrives joined by a comma, which is no part of any token.
        if not token or "," in token:
            raise Unauthenticated
        return self._tokens.caller(token)

    def _read(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> Arguments:
        try:
            return Arguments(self._arguments(plan, exchange, path), None)
        except ServiceError as refusal:
            return Arguments({}, refusal)

    def _arguments(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> dict[str, Any]:
        environ = exchange.environ
        arguments, query = plan.parameters.read(path, environ.get("QUERY_STRING", ""), strict=is_strict(environ))
        if plan.passes_query:
            arguments["query"] = query
        else:
            for name, parameter in plan.parameters.query.items():
                arguments[parameter.argument] = query.get(name)
        if plan.body:
            arguments.update(plan.body.read(environ))
        if plan.handler and "media_type" in plan.handler.accepts:
            arguments["media_type"] = wanted_media_type(environ, plan.media_types)
        return arguments

    def _answer(self, plan: Plan, result: Any) -> RawAnswer:
        answer = result if isinstance(result, Answer) else Answer(plan.default_status, result)
        if not plan.check_answer(answer):
            self._report_broken(plan, answer)
        declared = plan.answers.get(answer.status)
        return _raw(answer) if declared and declared.media_types else RawAnswer(answer.status, headers=answer.headers)

    def _report_broken(self, plan: Plan, answer: Answer) -> None:
        declared = plan.answers.get(answer.status)
        validator = declared.media_types.get(answer.media_type) if declared else None
        places = [f"{v.pointer or '/'} {v.rule}" for v in validator.violations(answer.body, "")] if validator else []
        _log.error("%s: the answer %s breaks the spec at %s", plan.operation_id, answer.status, places)
        if self._enforce:
            raise AnswerBreaksSpec


class Dispatcher(BaseDispatcher):
    """Runs plans against one database and one set of gateways."""

    def __init__(self, database: Database, tokens: TokenVerifier, services: Services) -> None:
        super().__init__(services.config, tokens)
        self._database = database
        self._services = services

    def _carry_out(
        self, plan: Plan, handler: Handler, caller: Caller, path: dict[str, str], arguments: Arguments
    ) -> RawAnswer:
        work = handler.work
        if isinstance(work, Phases):
            return self._carry_out_phases(plan, work, caller, path, arguments)
        return self._in_transaction(plan, caller, path, lambda ctx: work(ctx, **arguments.get()))

    def _carry_out_phases(
        self, plan: Plan, phases: Phases[Any], caller: Caller, path: dict[str, str], arguments: Arguments
    ) -> RawAnswer:
        self._authorize_alone(plan, caller, path)
        given = arguments.get()
        result = run(
            self._database,
            lambda uow: phases.prepare(Preparation(caller, uow, self._services, self._database), given),
            writes=False,
        )
        try:
            return self._in_transaction(plan, caller, path, lambda ctx: phases.handle(ctx, result, given))
        except Exception:
            if phases.is_compensated:
                self._compensate(plan, phases, caller, result)
            raise

    def _in_transaction(
        self, plan: Plan, caller: Caller, path: dict[str, str], handle: Callable[[Context], Any]
    ) -> RawAnswer:
        def work(uow: UnitOfWork) -> RawAnswer:
            self._authorize(plan, caller, path, uow)
            result = handle(Context(caller, uow, self._config))
            uow.flush()
            return self._answer(plan, result)

        return run(self._database, work, writes=plan.writes)

    def _compensate(self, plan: Plan, phases: Phases[Any], caller: Caller, result: Any) -> None:
        """Undo what was prepared, in a transaction of its own, also when the time for the request is over.

        The transaction that failed may have been committed all the same, when only the confirmation was lost.
        """
        try:
            with deadline.unlimited():
                run(
                    self._database,
                    lambda uow: phases.compensate(Context(caller, uow, self._config), result),
                    writes=True,
                )
        except Exception as error:
            # The caller is told why the request failed, not that the compensation failed too.
            _log.warning("%s: could not be compensated: %s", plan.operation_id, type(error).__name__)

    def _authorize_alone(self, plan: Plan, caller: Caller, path: dict[str, str]) -> None:
        run(self._database, lambda uow: self._authorize(plan, caller, path, uow), writes=False)

    def _authorize(self, plan: Plan, caller: Caller, path: dict[str, str], uow: UnitOfWork) -> None:
        keeps_accounts = self._config.accounts_url is None
        plan.access.authorize(AccessCheck(caller, path, uow, keeps_accounts))


def _raw(answer: Answer) -> RawAnswer:
    if answer.media_type == JSON:
        return json_answer(answer.status, to_json(answer.body), answer.headers)
    if isinstance(answer.body, str):
        content_type, body = f"{answer.media_type}; charset=utf-8", answer.body.encode()
    else:
        content_type, body = answer.media_type, answer.body
    return RawAnswer(answer.status, body, [("Content-Type", content_type), *answer.headers])
