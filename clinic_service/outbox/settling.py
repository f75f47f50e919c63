"""Settling: puts accounts right that were changed for a change here which never came about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from clinic_service.db.engine import Database
from clinic_service.errors import NotFound
from clinic_service.gateways.accounts import AccountNotFound, Accounts
from clinic_service.outbox.events import AccountLeftOver
from clinic_service.resources.patients.errands import Errand
from clinic_service.unit_of_work import UnitOfWork, run

NOTHING_TO_SETTLE = "NothingToSettle"


class _Address(NamedTuple):
    """The address that an account is to have, or none, and the reservation under which it gets it."""

    email: str | None
    errand: Errand


class Settlement:
    """Carries out the events of `deliveries.ACCOUNT_CHANGES`. Doing so twice does no harm."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database, self._accounts = database, accounts

    def settle(self, kind: str, payload: Mapping[str, Any]) -> str | None:
        """Settle one account; tells why there was nothing to do, if so. Raises what the directory raises."""
        if kind == AccountLeftOver.kind:
            self._accounts.remove(payload["userId"])
            return None
        return self._settle_address(payload["custodianId"], payload["userId"])

    def _settle_address(self, clinic_id: str, user_id: str) -> str | None:
        """Give the account the address that the record has. Raises AccountIsChanging: then somebody else is at it."""
        address = run(self._database, lambda unit: _reserve(unit, clinic_id, user_id), writes=True)
        if address is None:
            return NOTHING_TO_SETTLE
        try:
            self._accounts.update_custodial_email(user_id, address.email)
        except AccountNotFound:
            return NOTHING_TO_SETTLE
        finally:
            run(self._database, lambda unit: unit.patients.errands.cancel(address.errand), writes=True)
        return None


def _reserve(unit: UnitOfWork, clinic_id: str, user_id: str) -> _Address | None:
    """None when the clinic is not in charge of the account any more."""
    try:
        unit.clinics.lock(clinic_id)
        patient = unit.patients.get(clinic_id, user_id)
    except NotFound:
        return None
    if not patient.is_custodial:
        return None
    return _Address(patient.email, unit.patients.errands.start(clinic_id, user_id=user_id))
