"""The one door. Every request of every operation passes through `Dispatcher.run`, in this order:

token (401) → access (403) → parameters and body (400) → handler → answer check → outbox rows → commit.

Access is decided inside the transaction that the handler works in. An operation that asks other services first has a
`prepare_…` function: it is authorized and read beforehand, prepared while no transaction is open, and authorized again.
When nothing is committed after that, its `compensate_…` function, if it has one, undoes what was prepared. When somebody
else has changed meanwhile what the preparation rests on, all of this is done again.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clinic_service import deadline
from clinic_service.api.bodies import ABSENT, decode_json, may_be_large, read_body, require_json, require_length_within
from clinic_service.api.exchange import Exchange, RawAnswer, json_answer
from clinic_service.api.operations import Handler
from clinic_service.api.plan import Plan
from clinic_service.api.preferences import is_strict, preference_headers
from clinic_service.auth.caller import Caller
from clinic_service.auth.rules import AccessCheck, partner_caller
from clinic_service.context import Answer, Context, Preparation, PreparationOutdated, Services
from clinic_service.db.engine import Database
from clinic_service.errors import BadRequest, NotImplementedYet, ServiceError, Unauthenticated, Violation
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.serialization import to_json
from clinic_service.unit_of_work import UnitOfWork, run

_log = logging.getLogger("clinic_service.dispatch")
# So often is a request carried out whose preparation is outdated each time.
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


class Dispatcher:
    """Runs plans against one database and one set of gateways."""

    def __init__(self, database: Database, tokens: TokenVerifier, services: Services) -> None:
        self._database = database
        self._tokens = tokens
        self._services = services
        self._enforce = services.config.answer_check == "enforce"

    def run(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> RawAnswer:
        """Carry out one request in the time it has. Raises ServiceError for every refusal."""
        # What it has waited for a thread counts.
        with deadline.limited(self._services.config.request_seconds - exchange.seconds):
            answer = self._run(plan, exchange, path)
        answer.headers.extend(preference_headers(exchange.environ))
        return answer

    def _run(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> RawAnswer:
        caller = exchange.caller = self._caller(plan, exchange.environ)
        if plan.handler is None:
            return self._refuse_unbuilt(plan, caller, path)
        if plan.body and may_be_large(exchange.environ):
            self._authorize_alone(plan, caller, path)
        # Read before the transaction opens, so that decoding holds no lock; told only once access is decided.
        arguments = self._read(plan, exchange, path)
        for _ in range(_TRIES - 1):
            with suppress(PreparationOutdated):
                return self._carry_out(plan, plan.handler, caller, path, arguments)
        return self._carry_out(plan, plan.handler, caller, path, arguments)

    def _carry_out(
        self, plan: Plan, handler: Handler, caller: Caller, path: dict[str, str], arguments: Arguments
    ) -> RawAnswer:
        if handler.prepare:
            self._prepare(plan, caller, path, arguments)

        def work(uow: UnitOfWork) -> RawAnswer:
            self._authorize(plan, caller, path, uow)
            return self._handle(plan, caller, uow, arguments.get())

        try:
            return run(self._database, work, writes=plan.writes)
        except Exception:
            self._compensate(plan, caller, arguments)
            raise

    def admit(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> int:
        """How many bytes of the body may be read. Raises what `run` would raise before it reads a body.

        A server asks this before it reads a large body, so that nobody pays for the body of a caller who is refused.
        """
        with deadline.limited(self._services.config.request_seconds):
            caller = exchange.caller = self._caller(plan, exchange.environ)
            self._authorize_alone(plan, caller, path)
        if plan.body is None:
            return 0
        require_length_within(exchange.environ, plan.body_limit)
        return plan.body_limit

    def _caller(self, plan: Plan, environ: dict[str, Any]) -> Caller:
        if plan.access.partner:
            return partner_caller(plan.access.partner, environ, self._services.config)
        token = environ.get("HTTP_X_TIDEPOOL_SESSION_TOKEN")
        # A header that was sent twice arrives joined by a comma, which is no part of any token.
        if not token or "," in token:
            raise Unauthenticated
        return self._tokens.caller(token)

    def _refuse_unbuilt(self, plan: Plan, caller: Caller, path: dict[str, str]) -> RawAnswer:
        self._authorize_alone(plan, caller, path)
        raise NotImplementedYet

    def _prepare(self, plan: Plan, caller: Caller, path: dict[str, str], arguments: Arguments) -> None:
        self._authorize_alone(plan, caller, path)
        given = arguments.get()
        assert plan.handler is not None
        assert plan.handler.prepare is not None
        prepare = plan.handler.prepare
        # That of an earlier try.
        given.pop("prepared", None)
        given["prepared"] = run(
            self._database,
            lambda uow: prepare(Preparation(caller, uow, self._services, self._database), **given),
            writes=False,
        )

    def _compensate(self, plan: Plan, caller: Caller, arguments: Arguments) -> None:
        """Undo what was prepared, in a transaction of its own, also when the time for the request is over.

        The transaction that failed may have been committed all the same, when only the confirmation was lost.
        """
        assert plan.handler is not None
        compensate = plan.handler.compensate
        if compensate is None:
            return
        prepared = arguments.values["prepared"]
        try:
            with deadline.unlimited():
                run(self._database, lambda uow: compensate(Context(caller, uow, self._services), prepared), writes=True)
        except Exception as error:
            # The caller is told why the request failed, and not that this did as well.
            _log.warning("%s: could not be compensated: %s", plan.operation_id, type(error).__name__)

    def _authorize_alone(self, plan: Plan, caller: Caller, path: dict[str, str]) -> None:
        run(self._database, lambda uow: self._authorize(plan, caller, path, uow), writes=False)

    def _authorize(self, plan: Plan, caller: Caller, path: dict[str, str], uow: UnitOfWork) -> None:
        keeps_accounts = self._services.config.accounts_url is None
        plan.access.authorize(AccessCheck(caller, path, uow, keeps_accounts))

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
            arguments["body"] = _read_body(plan, environ)
        return arguments

    def _handle(self, plan: Plan, caller: Caller, uow: UnitOfWork, arguments: dict[str, Any]) -> RawAnswer:
        assert plan.handler is not None
        result = plan.handler.function(Context(caller, uow, self._services), **arguments)
        answer = result if isinstance(result, Answer) else Answer(plan.default_status, result)
        uow.flush()
        if not plan.check_answer(answer.status, answer.body):
            self._report_broken(plan, answer)
        if plan.answers.get(answer.status) is None:
            return RawAnswer(answer.status)
        return json_answer(answer.status, to_json(answer.body))

    def _report_broken(self, plan: Plan, answer: Answer) -> None:
        validator = plan.answers.get(answer.status)
        places = [f"{v.pointer or '/'} {v.rule}" for v in validator.violations(answer.body, "")] if validator else []
        _log.error("%s: the answer %s breaks the spec at %s", plan.operation_id, answer.status, places)
        if self._enforce:
            raise AnswerBreaksSpec


def _read_body(plan: Plan, environ: dict[str, Any]) -> Any:
    """The validated body, None for an optional one that is absent. Raises BadRequest, or 413 and 415."""
    assert plan.body is not None
    raw = read_body(environ, plan.body_limit)
    if raw.strip():
        require_json(environ.get("CONTENT_TYPE", ""))
    value = decode_json(raw)
    if value is ABSENT:
        if plan.body_required:
            raise BadRequest("A request body is required.", [Violation("/body", "required")])
        return None
    if not plan.body.is_valid(value):
        raise BadRequest(violations=plan.body.violations(value, "/body"))
    return value
