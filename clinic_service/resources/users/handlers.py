"""The operations of `spec/clinic/paths/users.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.resources.users import service


def _look_up_emails(ctx: Preparation, user_id: str) -> tuple[str, ...]:
    """The user's addresses, to which invitations may have been sent; none when the account is already deleted."""
    account = ctx.accounts.find_account(user_id)
    return account.emails if account else ()


@with_preparation(_look_up_emails)
def delete_user_from_clinics(ctx: Context, emails: tuple[str, ...], user_id: str) -> None:
    """Remove an account from all clinics."""
    service.remove_from_clinics(ctx.uow, user_id, emails)


def update_clinic_user_details(ctx: Context, user_id: str, body: dict[str, Any]) -> None:
    """Apply a change of an account. Values that the body does not contain stay as they are."""
    if "email" in body:
        service.change_email(ctx.uow, user_id, body["email"])
