"""Compensation: puts accounts right that were changed for a change here that did not come about."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.errors import NotFound
from clinic_service.gateways.accounts import Account, AccountNotFound, Accounts
from clinic_service.outbox.events import AccountLeftOver, AccountUnconfirmed
from clinic_service.resources.patients.accounts.changes import LIFETIME, AccountChange
from clinic_service.resources.patients.errors import AccountIsChanging
from clinic_service.unit_of_work import UnitOfWork, run

NOTHING_TO_COMPENSATE = "NothingToCompensate"
# How far the directory's clock may be behind ours, fractions of a second that it leaves out included.
_CLOCKS_DIFFER_BY = timedelta(seconds=2)


class _Address(NamedTuple):
    """The address that an account is to have, or none, and the reservation under which it gets it."""

    email: str | None
    change: AccountChange


class _Removal(NamedTuple):
    """The reservation under which an account is removed; None when the clinic is gone, so that nobody can take it."""

    change: AccountChange | None


class Compensation:
    """Carries out the events of `deliveries.ACCOUNT_CHANGES` for the relay. Doing so twice does no harm."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database, self._accounts = database, accounts

    def compensate(self, kind: str, payload: Mapping[str, Any]) -> str | None:
        """Put one account right; tells why there was nothing to do, if so. Raises what the directory raises."""
        if kind == AccountLeftOver.kind:
            return self._remove(payload["custodianId"], payload["userId"])
        if kind == AccountUnconfirmed.kind:
            return self._compensate_creation(
                payload["custodianId"], payload["email"], clock.from_wire(payload["since"])
            )
        return self._compensate_address(payload["custodianId"], payload["userId"])

    def _remove(self, clinic_id: str, user_id: str) -> str | None:
        """Remove the account, unless it has become a patient's. Raises AccountIsChanging: then it may become one."""
        removal = run(self._database, lambda unit: _reserve_removal(unit, clinic_id, user_id), writes=True)
        if removal is None:
            return NOTHING_TO_COMPENSATE
        try:
            self._accounts.remove(user_id)
        finally:
            change = removal.change
            if change:
                run(self._database, lambda unit: unit.patients.account_changes.cancel(change), writes=True)
        return None

    def _compensate_creation(self, clinic_id: str, email: str, since: datetime) -> str | None:
        """Have the account removed that the clinic asked for at that time, if there is one. Raises AccountIsChanging.

        It is removed by its id and by another event, so that no repetition can remove an account that gets the address
        later.
        """
        account = self._accounts.find_by_email(email)
        if account is None and clock.now() < since + LIFETIME:
            # The directory may still be at it.
            raise AccountIsChanging
        if account is None or not _was_asked_for(account, clinic_id, email, since):
            return NOTHING_TO_COMPENSATE
        user_id = account.user_id
        return run(self._database, lambda unit: _schedule_removal(unit, clinic_id, user_id), writes=True)

    def _compensate_address(self, clinic_id: str, user_id: str) -> str | None:
        """Give the account the address that the record has. Raises AccountIsChanging: then somebody else is at it."""
        address = run(self._database, lambda unit: _reserve(unit, clinic_id, user_id), writes=True)
        if address is None:
            return NOTHING_TO_COMPENSATE
        try:
            self._accounts.update_custodial_email(user_id, address.email)
        except AccountNotFound:
            return NOTHING_TO_COMPENSATE
        finally:
            run(self._database, lambda unit: unit.patients.account_changes.cancel(address.change), writes=True)
        return None


def _was_asked_for(account: Account, clinic_id: str, email: str, since: datetime) -> bool:
    """Whether the directory shows that it is the account; one that had the address before is older."""
    created = account.created_time
    if created is None or account.custodian_id != clinic_id or email.lower() not in (account.username, *account.emails):
        return False
    return since - _CLOCKS_DIFFER_BY <= created < since + LIFETIME


def _schedule_removal(unit: UnitOfWork, clinic_id: str, user_id: str) -> str | None:
    """Raises AccountIsChanging while the clinic is making accounts, of which it may be one."""
    with suppress(NotFound):
        unit.clinics.lock(clinic_id)
    if not _is_left_over(unit, clinic_id, user_id):
        return NOTHING_TO_COMPENSATE
    unit.outbox.add(AccountLeftOver(clinic_id, user_id))
    return None


def _reserve_removal(unit: UnitOfWork, clinic_id: str, user_id: str) -> _Removal | None:
    """As `_schedule_removal`; None when the account is a patient's."""
    try:
        unit.clinics.lock(clinic_id)
    except NotFound:
        return None if unit.patients.all_of_user(user_id) else _Removal(None)
    if not _is_left_over(unit, clinic_id, user_id):
        return None
    return _Removal(unit.patients.account_changes.start(clinic_id, user_id=user_id))


def _is_left_over(unit: UnitOfWork, clinic_id: str, user_id: str) -> bool:
    """Whether the account is nobody's. Raises AccountIsChanging while the clinic is making accounts for patients."""
    if unit.patients.account_changes.count_places(clinic_id):
        raise AccountIsChanging
    return not unit.patients.all_of_user(user_id)


def _reserve(unit: UnitOfWork, clinic_id: str, user_id: str) -> _Address | None:
    """None when neither the clinic, nor one that took it over since, manages the account any more."""
    locked = _lock(unit, clinic_id)
    patient = unit.patients.find(locked, user_id) if locked else None
    if patient is None or not patient.is_custodial:
        return None
    return _Address(patient.email, unit.patients.account_changes.start(patient.clinic_id, user_id=user_id))


def _lock(unit: UnitOfWork, clinic_id: str | None) -> str | None:
    """The id of the clinic, or of the one that has its patients now, which is locked; None when there is none."""
    while clinic_id is not None:
        try:
            return unit.clinics.lock(clinic_id).id
        except NotFound:
            clinic_id = unit.merges.find_successor(clinic_id)
    return None
