"""Preparation: what an operation does before its transaction begins. Only here are other services asked.

An operation in phases is written in `handlers.py` like this:

    @with_preparation(_look_up_user, compensation=_remove_account)
    def create_patient(ctx: Context, user: UserRecord, clinic_id: str) -> JsonObject: ...

1. The preparation runs after the caller has been authorized, while no transaction is open.
2. The handler runs in the transaction of the request. It gets the result of the preparation as its second argument.
3. If the transaction is not committed, the compensation undoes what the preparation did, in a transaction of its own.

Each phase names the parameters of the operation that it uses; together they name all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from clinic_service.auth.caller import Caller
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.openid import OpenId, UnconfiguredOpenId
from clinic_service.gateways.restricted_tokens import RestrictedTokens, UnconfiguredRestrictedTokens
from clinic_service.gateways.xealth import UnconfiguredXealth, XealthApi
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.unit_of_work import UnitOfWork, run

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """The settings of a process, and its gateways to other services."""

    config: Config
    accounts: Accounts
    openid: OpenId = field(default_factory=UnconfiguredOpenId)
    xealth: XealthApi = field(default_factory=UnconfiguredXealth)
    restricted_tokens: RestrictedTokens = field(default_factory=UnconfiguredRestrictedTokens)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a preparation receives: who calls, a unit of work that only reads, and the gateways to other services."""

    caller: Caller
    uow: UnitOfWork
    services: Services
    database: Database

    @property
    def config(self) -> Config:
        """The settings of this process."""
        return self.services.config

    @property
    def accounts(self) -> Accounts:
        """The directory of accounts and their profiles."""
        return self.services.accounts

    @property
    def openid(self) -> OpenId:
        """The identity provider of service accounts."""
        return self.services.openid

    @property
    def xealth(self) -> XealthApi:
        """The orders of health record systems that Xealth connects."""
        return self.services.xealth

    @property
    def restricted_tokens(self) -> RestrictedTokens:
        """The service that creates and checks the tokens for reports."""
        return self.services.restricted_tokens

    @property
    def mail_sender(self) -> MailSender:
        """The sender of the mails of this request, for the limits on mails."""
        return MailSender(self.caller.person_id, self.config)

    def in_transaction(self, work: Callable[[UnitOfWork], T]) -> T:
        """Do `work` in a short transaction of its own, which is committed when this returns.

        `work` may run again after a conflict with another transaction, so it must have no effect outside its unit.
        """
        return run(self.database, work, writes=True)


class PreparationOutdated(Unavailable):
    """The result of the preparation no longer fits the stored data. The whole request is then carried out again."""


class Phases(Generic[R]):
    """An operation with a preparation; made by `with_preparation`."""

    def __init__(
        self,
        prepare: Callable[..., R],
        handler: Callable[..., Any],
        compensation: Callable[[Context, R], None] | None,
    ) -> None:
        self.handler = handler
        self._prepare, self._compensation = prepare, compensation
        # The context comes first, and in the handler the result of the preparation comes second.
        self._prepare_takes = tuple(inspect.signature(prepare).parameters)[1:]
        self._handler_takes = tuple(inspect.signature(handler).parameters)[2:]

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters of the operation that a phase uses."""
        return frozenset((*self._prepare_takes, *self._handler_takes))

    def prepare(self, ctx: Preparation, arguments: Mapping[str, Any]) -> R:
        """Run the preparation and return its result."""
        return self._prepare(ctx, **{name: arguments[name] for name in self._prepare_takes})

    def handle(self, ctx: Context, result: R, arguments: Mapping[str, Any]) -> Any:
        """Run the handler with the result of the preparation, and return the answer."""
        return self.handler(ctx, result, **{name: arguments[name] for name in self._handler_takes})

    def compensate(self, ctx: Context, result: R) -> None:
        """Undo what the preparation did, if there is something to undo."""
        if self._compensation:
            self._compensation(ctx, result)

    @property
    def is_compensated(self) -> bool:
        """Whether the preparation changes something that has to be undone when the transaction is not committed."""
        return self._compensation is not None


def with_preparation(
    prepare: Callable[Concatenate[Preparation, Q], R], *, compensation: Callable[[Context, R], None] | None = None
) -> Callable[[Callable[Concatenate[Context, R, P], Any]], Phases[R]]:
    """Run `prepare` before the decorated handler, and `compensation` when nothing was committed after it."""

    def decorate(handler: Callable[Concatenate[Context, R, P], Any]) -> Phases[R]:
        return Phases(prepare, handler, compensation)

    return decorate
