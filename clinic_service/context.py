"""Context: what every handler receives first."""

from __future__ import annotations

from dataclasses import dataclass

from clinic_service.auth.caller import Caller
from clinic_service.config import Config
from clinic_service.gateways.accounts import Accounts
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Services:
    """What a process has one of: its settings and the gateways to the outside."""

    config: Config
    accounts: Accounts


@dataclass(frozen=True, slots=True)
class Context:
    """One request as the domain sees it: who calls, the transaction, and the outside world.

    `services.accounts` may be slow or fail, so it is for `prepare_…` functions, which run while no transaction is open.
    """

    caller: Caller
    uow: UnitOfWork
    services: Services

    @property
    def config(self) -> Config:
        return self.services.config


@dataclass(frozen=True, slots=True)
class Answer:
    """For operations with more than one success status: which one, and what it holds."""

    status: int
    body: object = None
