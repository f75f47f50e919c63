"""Orphaned accounts: accounts that were created for a patient of a clinic whose record was not stored.

The relay removes them (see `compensation.py`). When a caller repeats the failed request before that, the address is still
taken. So callers that repeat until they succeed, as a partner does, use such an account instead of a new one. It is not
removed meanwhile: a removal waits while the clinic has a reserved place, and a removal itself reserves the account.
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
    ended_on_failure,
    make_account,
)
from clinic_service.unit_of_work import UnitOfWork


def make_or_reuse_account(ctx: Preparation, clinic_id: str, given: Mapping[str, Any]) -> CustodialAccount:
    """As `make_account`, but uses an orphaned account with the address if there is one.

    Also raises AccountIsChanging, while such an account is being removed.
    """
    taken = _take(ctx, clinic_id, given)
    if taken:
        return taken
    try:
        return make_account(ctx, clinic_id, given)
    except EmailTaken:
        # Another attempt may have created the account in the meantime, and may fail afterwards.
        taken = _take(ctx, clinic_id, given)
        if taken is None:
            raise
        return taken


def _take(ctx: Preparation, clinic_id: str, given: Mapping[str, Any]) -> CustodialAccount | None:
    """The orphaned account; None when no account has the address. Raises EmailTaken for an account in use."""
    account = ctx.accounts.find_by_email(given["email"]) if given.get("email") else None
    if account is None:
        return None
    if not _is_orphaned(ctx, clinic_id, account):
        raise EmailTaken
    user_id = account.user_id

    def reserve(uow: UnitOfWork) -> AccountChange:
        check(ctx, uow, clinic_id, given)
        uow.patients.account_changes.require_unchanged(clinic_id, user_id)
        return uow.patients.account_changes.start(clinic_id)

    change = ctx.in_transaction(reserve)
    with ended_on_failure(ctx, change):
        # The account may have been removed before the place was reserved.
        is_there = ctx.accounts.find_account(user_id) is not None
    if is_there:
        return CustodialAccount(user_id, given, change)
    ctx.in_transaction(lambda uow: uow.patients.account_changes.cancel(change))
    return None


def _is_orphaned(ctx: Preparation, clinic_id: str, account: Account) -> bool:
    """Whether the account was created for the clinic, is not claimed, and belongs to no patient of the clinic.

    An account that was created for a clinic that was merged into this one counts as created for this one.
    """
    is_custodial = _is_custodian(ctx, account.custodian_id, clinic_id) and not account.is_verified
    return is_custodial and not ctx.uow.patients.is_patient(clinic_id, account.user_id)


def _is_custodian(ctx: Preparation, custodian_id: str | None, clinic_id: str) -> bool:
    while custodian_id not in (None, clinic_id):
        custodian_id = ctx.uow.merges.find_successor(custodian_id)
    return custodian_id == clinic_id
