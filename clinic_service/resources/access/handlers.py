"""The operations of `spec/access.v1.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.resources.access import service
from clinic_service.resources.access.errors import NothingGranted
from clinic_service.resources.access.repository import Permissions


def get_groups_for_user(ctx: Context, user_id: str) -> dict[str, Permissions]:
    """The direct grants that a user received, by the user who gave each."""
    return {user_id: {"root": {}}} | ctx.uow.grants.list_of_grantee(user_id)


def get_users_in_group(ctx: Context, sharer_id: str) -> dict[str, Permissions]:
    """The direct grants that a user gave, by the user who received each."""
    return {sharer_id: {"root": {}}} | ctx.uow.grants.list_of_sharer(sharer_id)


def get_permissions_for_user(ctx: Context, sharer_id: str, user_id: str) -> Permissions:
    """What one user may do with the data of another."""
    held = ctx.uow.grants.effective(sharer_id, user_id)
    if not held:
        raise NothingGranted
    return held


def grant_permissions_in_group(ctx: Context, sharer_id: str, user_id: str, body: Any) -> Permissions | None:
    """Replace or remove a direct grant. The answer is None, which is null on the wire, when nothing is left."""
    service.replace_grant(ctx.uow, sharer_id, user_id, body or {}, ctx.caller.person_id)
    return ctx.uow.grants.effective(sharer_id, user_id) or None
