"""Every request of every operation passes through stages, and the lists below name them in their order.

`Dispatcher.__init__` has the list of the service, and with it the stages of a transaction. Access is decided inside the
transaction that the handler works in. An operation with a preparation (see `preparation.py`) is authorized and read
beforehand, prepared while no transaction is open, and authorized again. When nothing is committed after that, its
compensation undoes what the preparation did. When another request has changed data that the preparation used, all of this
is done again.

A stage raises a ServiceError to refuse a request; then no further stage runs, and the transaction is rolled back.
A new stage is a method with a line in one of the lists. The stages of conditional requests are in `preconditions.py`, those
of `Idempotency-Key` in `idempotency.py`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from clinic_service import deadline
from clinic_service.api.answers import checked_answer
from clinic_service.api.audit import Auditor
from clinic_service.api.bodies import may_be_large, require_length_within
from clinic_service.api.entity_tags import read_conditions
from clinic_service.api.exchange import Exchange, RawAnswer
from clinic_service.api.idempotency import IdempotencyKeys, read_key
from clinic_service.api.links import link_header
from clinic_service.api.plan import Plan
from clinic_service.api.preconditions import Preconditions
from clinic_service.api.preferences import is_strict, preference_headers, wanted_media_type
from clinic_service.api.rate_limit import RateLimit, RateLimitReached
from clinic_service.api.request import Request
from clinic_service.auth.caller import Caller
from clinic_service.auth.partners import partner_caller, proves_itself_early, require_partner_body
from clinic_service.auth.rules import AccessCheck
from clinic_service.config import Config
from clinic_service.context import Answer, Context, Page
from clinic_service.db.engine import Database
from clinic_service.errors import NotImplementedYet, ServiceError, Unauthenticated
from clinic_service.gateways.tokens import TOKEN_HEADER, TokenVerifier
from clinic_service.preparation import Phases, Preparation, PreparationOutdated, Services
from clinic_service.tracing import Traced
from clinic_service.unit_of_work import UnitOfWork, run

Stage = Callable[[Request], None]
StageInUnit = Callable[[Request, UnitOfWork], None]

_log = logging.getLogger("clinic_service.dispatch")
# How often a request is carried out when its preparation is outdated each time.
_TRIES = 5


class BaseDispatcher(ABC):
    """Runs requests through stages. A subclass lists them, and says who may call and where the work runs."""

    # All stages of a request.
    stages: Sequence[Stage]
    # Those of them that a request with a large body passes before its body is read.
    admission: Sequence[Stage]

    def __init__(self, config: Config, tokens: TokenVerifier) -> None:
        self._config = config
        self._tokens = tokens
        self._enforce = config.answer_check == "enforce"
        self.admission = (self.identify, self.authorize_alone)
        # All plans by operationId. They are added while the operations are bound.
        self.plans: dict[str, Plan] = {}

    def run(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> RawAnswer:
        """Carry out one request within its time limit. Raises ServiceError for every refusal."""
        request = Request(plan, exchange, path)
        # The time that the request has waited for a thread counts.
        seconds = plan.seconds or self._config.request_seconds
        try:
            with deadline.limited(seconds - exchange.seconds), Traced(exchange.trace):
                for stage in self.stages:
                    stage(request)
        except Exception as error:
            self.failed(request, error)
            raise
        return request.answer

    def admit(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> int:
        """How many bytes of the body may be read. Raises what `run` would raise before it reads a body.

        A server asks this before it reads a large body, so that it never reads the large body of a refused caller.
        """
        request = Request(plan, exchange, path)
        try:
            with deadline.limited(self._config.request_seconds), Traced(exchange.trace):
                for stage in self.admission:
                    stage(request)
            if plan.body:
                require_length_within(exchange.environ, plan.body.limit)
        except Exception as error:
            self.failed(request, error)
            raise
        return plan.body.limit if plan.body else 0

    def failed(self, request: Request, error: Exception) -> None:  # noqa: B027 - most dispatchers note nothing
        """Note that a stage has refused the request, or has failed."""

    def identify(self, request: Request) -> None:
        """Identify the caller. Raises Unauthenticated (401)."""
        request.caller = request.exchange.caller = self._caller(request.plan, request.exchange.environ)

    def authorize_early(self, request: Request) -> None:
        """Decide on access (403) before a large body is read, and when there is no handler (501)."""
        plan = request.plan
        if plan.handler is None or (plan.body and may_be_large(request.exchange.environ)):
            self.authorize_alone(request)
        if plan.handler is None:
            raise NotImplementedYet

    @abstractmethod
    def authorize_alone(self, request: Request) -> None:
        """Raise Forbidden (403), or Unauthenticated, unless the caller may call the operation."""

    def read(self, request: Request) -> None:
        """Read parameters and body, before a transaction opens, so that decoding holds no lock.

        A refusal waits for `require_readable`, because access is decided first.
        """
        try:
            plan, environ = request.plan, request.exchange.environ
            request.conditions = read_conditions(environ, are_declared=plan.takes_conditions)
            request.key = read_key(environ) if plan.takes_key else None
            request.arguments = self._arguments(request)
        except ServiceError as refusal:
            request.refusal = refusal

    def require_readable(self, request: Request, _uow: UnitOfWork | None = None) -> None:
        """Raise the refusal of a request that does not fit the spec (400, 413, 415)."""
        if request.refusal:
            raise request.refusal

    def link_pages(self, request: Request, _uow: UnitOfWork) -> None:
        """Make the answer for a page of a list, with links to the other pages."""
        page = request.result
        if isinstance(page, Page):
            link = link_header(page, request.exchange.environ.get("QUERY_STRING", ""))
            request.result = Answer(request.plan.default_status, page.body, headers=[("Link", link)])

    def check_answer(self, request: Request, _uow: UnitOfWork | None = None) -> None:
        """Make the answer, and check that it fits the spec, before anything is committed (500)."""
        request.answer = checked_answer(request.plan, request.result, enforce=self._enforce)

    def add_headers(self, request: Request) -> None:
        """Add the headers that depend on what the request prefers."""
        request.answer.headers.extend(preference_headers(request.exchange.environ))
        if len(request.plan.media_types) > 1:
            request.answer.headers.append(("Vary", "Accept"))

    def _caller(self, plan: Plan, environ: dict[str, Any]) -> Caller:
        if plan.access.partner:
            return partner_caller(plan.access.partner, environ, self._config)
        token = environ.get(TOKEN_HEADER)
        # A header that was sent twice arrives joined by a comma, which is no part of any token.
        if not token or "," in token:
            raise Unauthenticated
        return self._tokens.caller(token)

    def _arguments(self, request: Request) -> dict[str, Any]:
        plan, environ = request.plan, request.exchange.environ
        arguments, query = plan.parameters.read(
            request.path, environ.get("QUERY_STRING", ""), strict=is_strict(environ)
        )
        if plan.passes_query:
            arguments["query"] = query
        else:
            for name, parameter in plan.parameters.query.items():
                arguments[parameter.argument] = query.get(name)
        if plan.body:
            body = plan.body.decode(environ)
            if plan.access.partner:
                require_partner_body(plan.access.partner, body.value, self._config)
            arguments.update(plan.body.arguments(body))
        if plan.handler and "media_type" in plan.handler.accepts:
            arguments["media_type"] = wanted_media_type(environ, plan.media_types)
        return arguments


class Dispatcher(BaseDispatcher):
    """Runs requests against one database and one set of gateways."""

    def __init__(
        self, database: Database, tokens: TokenVerifier, services: Services, auditor: Auditor | None = None
    ) -> None:
        """`auditor` records the requests; None: requests are not recorded."""
        super().__init__(services.config, tokens)
        self._database = database
        self._services = services
        self._auditor = auditor
        self._rate_limit = RateLimit.from_config(services.config)
        self.admission = (self.identify, self.limit_rate, self.authorize_alone)
        self.keys = IdempotencyKeys(database, (self.authorize, self.require_readable))
        conditions = Preconditions(self.plans, self.prepare, (self.handle, self.check_answer))
        self.stages = (
            self.identify,
            self.limit_rate,
            self.authorize_early,
            self.read,
            conditions.find_shown,
            self.keys.claim,
            self.carry_out,
            conditions.leave_out_known,
            self.record_read,
            self.add_headers,
        )
        # `carry_out` runs these. First, for an operation with a preparation, while no transaction is open:
        self.preparation: Sequence[StageInUnit] = (
            self.authorize,
            self.require_readable,
            conditions.require_match_early,
            self.prepare,
        )
        # Then, in one transaction, which is committed after the last of them:
        self.transaction: Sequence[StageInUnit] = (
            self.authorize,
            self.require_readable,
            conditions.require_match,
            self.handle,
            conditions.require_existing,
            self.link_pages,
            self.check_answer,
            conditions.tag_answer,
            self.record_write,
            self.keys.store_answer,
        )

    def failed(self, request: Request, error: Exception) -> None:
        if self._auditor and not (isinstance(error, RateLimitReached) and not error.is_recorded):
            self._auditor.record_failure(request, error)

    def identify(self, request: Request) -> None:
        try:
            super().identify(request)
        except ServiceError:
            if self._rate_limit:
                self._rate_limit.count(request.exchange, None)
            raise

    def limit_rate(self, request: Request) -> None:
        """Count the request against the limit of its caller (429)."""
        if self._rate_limit:
            partner = request.plan.access.partner
            is_known = partner is None or proves_itself_early(partner)
            self._rate_limit.count(request.exchange, request.caller if is_known else None)

    def carry_out(self, request: Request) -> None:
        """Run the stages of the preparation, if there is one, and those of the transaction. A repeat runs none."""
        if request.is_repeat:
            return
        try:
            self._carry_out(request)
        except Exception:
            self.keys.release(request)
            raise

    def _carry_out(self, request: Request) -> None:
        carry_out = self._with_preparation if request.needs_preparation else self._in_transaction
        for _ in range(_TRIES - 1):
            with suppress(PreparationOutdated):
                return carry_out(request)
        return carry_out(request)

    def authorize(self, request: Request, uow: UnitOfWork) -> None:
        """Check access by the present data. Raises Forbidden (403), or Unauthenticated for a removed account."""
        keeps_accounts = self._config.accounts_url is None
        request.check = AccessCheck(request.caller, request.path, uow, keeps_accounts)
        request.plan.access.authorize(request.check)

    def authorize_alone(self, request: Request) -> None:
        """`authorize`, in a unit of its own."""
        run(self._database, lambda uow: self.authorize(request, uow), writes=False)

    def prepare(self, request: Request, uow: UnitOfWork) -> None:
        """Run the preparation of the operation, which may ask other services."""
        if isinstance(request.work, Phases):
            preparation = Preparation(request.caller, uow, self._services, self._database)
            request.preparation_result = request.work.prepare(preparation, request.arguments)

    def handle(self, request: Request, uow: UnitOfWork) -> None:
        """Call the handler of the operation."""
        context, work = Context(request.caller, uow, self._config), request.work
        if isinstance(work, Phases):
            request.result = work.handle(context, request.preparation_result, request.arguments)
        else:
            request.result = work(context, **request.arguments)
        uow.flush()

    def record_write(self, request: Request, uow: UnitOfWork) -> None:
        """Add a row about a write to its transaction, so that no write takes effect without its record."""
        if self._auditor and request.plan.writes:
            self._auditor.record_write(request, uow)

    def record_read(self, request: Request) -> None:
        """Record that data of people was read. The answer is sent when the record is on the disk."""
        only_reads = request.is_repeat or not request.plan.writes
        if self._auditor and request.plan.audit.reads_people and only_reads:
            self._auditor.record_read(request)

    def _with_preparation(self, request: Request) -> None:
        self._pass(request, self.preparation, writes=False)
        try:
            self._in_transaction(request)
        except Exception:
            if isinstance(request.work, Phases) and request.work.is_compensated:
                self._compensate(request)
            raise

    def _in_transaction(self, request: Request) -> None:
        self._pass(request, self.transaction, writes=request.plan.writes)

    def _pass(self, request: Request, stages: Sequence[StageInUnit], *, writes: bool) -> None:
        def work(uow: UnitOfWork) -> None:
            for stage in stages:
                stage(request, uow)

        run(self._database, work, writes=writes)

    def _compensate(self, request: Request) -> None:
        """Undo what the preparation did, in a transaction of its own, also when the time for the request is over.

        The transaction that failed may have been committed all the same, when only the confirmation was lost.
        """
        try:
            with deadline.unlimited():
                run(
                    self._database,
                    lambda uow: request.work.compensate(
                        Context(request.caller, uow, self._config), request.preparation_result
                    ),
                    writes=True,
                )
        except Exception as error:
            # The caller is told why the request failed, not that the compensation failed too.
            _log.warning("%s: could not be compensated: %s", request.plan.operation_id, type(error).__name__)
