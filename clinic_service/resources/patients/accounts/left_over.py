"""Accounts that are left over: a clinic had them made for a patient who was not recorded after all.

They are removed (see `outbox.compensation`), but whoever repeats what failed may be faster, and would find the address
taken. So who repeats until it succeeds, as a partner does, takes such an account instead of a new one. It is not removed
meanwhile: a removal waits while the clinic has a place reserved, and is itself known by a reservation of the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_service.gateways.accounts import Account, EmailTaken
from clinic_service.preparation import Preparation
from clinic_service.resources.patients.accounts.changes import AccountChange
from clinic_service.resources.patients.accounts.create import (
    CustodialAccount,
    check,
    ended_unless_made,
    make_account,
)
from clinic_service.unit_of_work import UnitOfWork


def make_or_take_account(ctx: Preparation, clinic_id: str, given: Mapping[str, Any]) -> CustodialAccount:
    """As `make_account`; an account that is left over and has the address is taken instead.

    Raises AccountIsChanging as well, while such an account is being removed.
    """
    taken = _take(ctx, clinic_id, given)
    if taken:
        return taken
    try:
        return make_account(ctx, clinic_id, given)
    except EmailTaken:
        # Another attempt may have made it just now, and fail afterwards.
        taken = _take(ctx, clinic_id, given)
        if taken is None:
            raise
        return taken


def _take(ctx: Preparation, clinic_id: str, given: Mapping[str, Any]) -> CustodialAccount | None:
    """The account that is left over; None when nobody has the address. Raises EmailTaken when it is another account."""
    account = ctx.accounts.find_by_email(given["email"]) if given.get("email") else None
    if account is None:
        return None
    if not _is_left_over(ctx, clinic_id, account):
        raise EmailTaken
    user_id = account.user_id

    def reserve(uow: UnitOfWork) -> AccountChange:
        check(ctx, uow, clinic_id, given)
        uow.patients.account_changes.require_unchanged(clinic_id, user_id)
        return uow.patients.account_changes.start(clinic_id)

    change = ctx.in_transaction(reserve)
    with ended_unless_made(ctx, change):
        # It may have been removed before its place was reserved.
        is_there = ctx.accounts.find_account(user_id) is not None
    if is_there:
        return CustodialAccount(user_id, given, change)
    ctx.in_transaction(lambda uow: uow.patients.account_changes.cancel(change))
    return None


def _is_left_over(ctx: Preparation, clinic_id: str, account: Account) -> bool:
    """Whether the clinic had the account made, nobody has claimed it, and it is no patient's of the clinic.

    A clinic that took over another one counts as the maker of the accounts that the other one had made.
    """
    is_custodial = _is_custodian(ctx, account.custodian_id, clinic_id) and not account.is_verified
    return is_custodial and not ctx.uow.patients.is_patient(clinic_id, account.user_id)


def _is_custodian(ctx: Preparation, custodian_id: str | None, clinic_id: str) -> bool:
    while custodian_id not in (None, clinic_id):
        custodian_id = ctx.uow.merges.find_successor(custodian_id)
    return custodian_id == clinic_id
