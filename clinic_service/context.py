"""Context: what every handler receives first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from clinic_service.auth.caller import Caller
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.openid import OpenId, UnconfiguredOpenId
from clinic_service.outbox.limits import MailSender
from clinic_service.unit_of_work import UnitOfWork, run

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """What a process has one of: its settings and the gateways to the outside."""

    config: Config
    accounts: Accounts
    openid: OpenId = field(default_factory=UnconfiguredOpenId)


@dataclass(frozen=True, slots=True)
class Context:
    """One request as the domain sees it: who calls, the transaction, and the outside world.

    What `services` holds may be slow or fail, so it is for `prepare_…` functions, which run while no transaction is open.
    """

    caller: Caller
    uow: UnitOfWork
    services: Services

    @property
    def config(self) -> Config:
        return self.services.config

    @property
    def mail_sender(self) -> MailSender:
        """Whose request for mail this is."""
        return MailSender(self.caller.person_id, self.config)


@dataclass(frozen=True, slots=True)
class Preparation(Context):
    """What a `prepare_…` function receives. Its `uow` only reads, and no transaction is open."""

    database: Database

    def in_transaction(self, work: Callable[[UnitOfWork], T]) -> T:
        """Do `work` in a short transaction of its own, which is committed when this returns.

        It may be done again when the database asks for it, so it must have no effect outside the unit it gets.
        """
        return run(self.database, work, writes=True)


class PreparationOutdated(Unavailable):
    """What was prepared no longer fits what is stored: raised in the transaction, so that it is prepared again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """For operations with more than one success status: which one, and what it holds."""

    status: int
    body: object = None
