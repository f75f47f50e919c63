"""Compensation: corrects accounts that were changed although the record in this database was not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.errors import NotFound
from clinic_service.gateways.accounts import Account, AccountNotFound, Accounts
from clinic_service.outbox.events import AccountOrphaned, AccountUnconfirmed
from clinic_service.resources.patients.accounts.changes import LIFETIME, AccountChange
from clinic_service.resources.patients.errors import AccountIsChanging
from clinic_service.unit_of_work import UnitOfWork, run

NOTHING_TO_COMPENSATE = "NothingToCompensate"
# How far the directory's clock may be behind this server's, including fractions of a second, which it may cut off.
_CLOCKS_DIFFER_BY = timedelta(seconds=2)


class _Address(NamedTuple):
    """The address that an account must get, None to clear it, and the reservation of the account."""

    email: str | None
    change: AccountChange


class _Removal(NamedTuple):
    """The reservation of an account that is removed; None when the clinic is deleted and cannot use the account."""

    change: AccountChange | None


class Compensation:
    """Carries out the events of `deliveries.ACCOUNT_CHANGES` for the relay. Every event can be repeated."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database, self._accounts = database, accounts

    def compensate(self, kind: str, payload: Mapping[str, Any]) -> str | None:
        """Correct one account. Returns the reason when there was nothing to do. Raises what the directory raises."""
        if kind == AccountOrphaned.kind:
            return self._remove(payload["custodianId"], payload["userId"])
        if kind == AccountUnconfirmed.kind:
            return self._compensate_creation(
                payload["custodianId"], payload["email"], clock.from_wire(payload["since"])
            )
        return self._compensate_address(payload["custodianId"], payload["userId"])

    def _remove(self, clinic_id: str, user_id: str) -> str | None:
        """Remove the account, unless it belongs to a patient. Raises AccountIsChanging while it may become a patient's."""
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
        """Add an event that removes the account that the clinic requested at this time, if there is one.

        The second event names the account by its id, so that a repetition cannot remove an account that gets the address
        later. Raises AccountIsChanging.
        """
        account = self._accounts.find_by_email(email)
        if account is None and clock.now() < since + LIFETIME:
            # The directory may still be creating the account.
            raise AccountIsChanging
        if account is None or not _was_asked_for(account, clinic_id, email, since):
            return NOTHING_TO_COMPENSATE
        user_id = account.user_id
        return run(self._database, lambda unit: _schedule_removal(unit, clinic_id, user_id), writes=True)

    def _compensate_address(self, clinic_id: str, user_id: str) -> str | None:
        """Give the account the address of the record. Raises AccountIsChanging during another change of the account."""
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
    """Whether this is the requested account, and not an older one with the same address."""
    created = account.created_time
    if created is None or account.custodian_id != clinic_id or email.lower() not in (account.username, *account.emails):
        return False
    return since - _CLOCKS_DIFFER_BY <= created < since + LIFETIME


def _schedule_removal(unit: UnitOfWork, clinic_id: str, user_id: str) -> str | None:
    """Add an event that removes the account, unless it belongs to a patient.

    Raises AccountIsChanging while the clinic is creating accounts, because this may be one of them.
    """
    with suppress(NotFound):
        unit.clinics.lock(clinic_id)
    if not _is_orphaned(unit, clinic_id, user_id):
        return NOTHING_TO_COMPENSATE
    unit.outbox.add(AccountOrphaned(clinic_id, user_id))
    return None


def _reserve_removal(unit: UnitOfWork, clinic_id: str, user_id: str) -> _Removal | None:
    """Reserve the account for its removal; None when it belongs to a patient. Raises as `_schedule_removal`."""
    try:
        unit.clinics.lock(clinic_id)
    except NotFound:
        return None if unit.patients.all_of_user(user_id) else _Removal(None)
    if not _is_orphaned(unit, clinic_id, user_id):
        return None
    return _Removal(unit.patients.account_changes.start(clinic_id, user_id=user_id))


def _is_orphaned(unit: UnitOfWork, clinic_id: str, user_id: str) -> bool:
    """Whether the account belongs to no patient. Raises AccountIsChanging while the clinic is creating accounts."""
    if unit.patients.account_changes.count_places(clinic_id):
        raise AccountIsChanging
    return not unit.patients.all_of_user(user_id)


def _reserve(unit: UnitOfWork, clinic_id: str, user_id: str) -> _Address | None:
    """Reserve the account and return its address.

    None when neither the clinic nor the clinic it was merged into manages the account any more.
    """
    locked = _lock(unit, clinic_id)
    patient = unit.patients.find(locked, user_id) if locked else None
    if patient is None or not patient.is_custodial:
        return None
    return _Address(patient.email, unit.patients.account_changes.start(patient.clinic_id, user_id=user_id))


def _lock(unit: UnitOfWork, clinic_id: str | None) -> str | None:
    """Lock the clinic, or the clinic it was merged into, and return its id; None when there is neither."""
    while clinic_id is not None:
        try:
            return unit.clinics.lock(clinic_id).id
        except NotFound:
            clinic_id = unit.merges.find_successor(clinic_id)
    return None
