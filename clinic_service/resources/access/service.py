"""The rules for changing grants: what a grant may contain, and who may change it.

`GrantRepository.effective` in `repository.py` computes what a user may do with the data of another user.
"""

from __future__ import annotations

from typing import Any

import orjson

from clinic_service.errors import Violation
from clinic_service.resources.access.errors import (
    NotYoursToGive,
    NotYoursToWrite,
    PermissionTooLarge,
    UnknownPermission,
)
from clinic_service.resources.access.repository import Permissions
from clinic_service.unit_of_work import UnitOfWork

_ROOT = "root"
# The permissions that every writer of a grant may give, and those that only services may give.
_FREE_NAMES = frozenset({"view", "upload", "note", "follow"})
_MANAGING_NAMES = frozenset({"custodian", "admin"})
_LARGEST_VALUE = 4096
_MOST_LEVELS = 8


def replace_grant(uow: UnitOfWork, sharer_id: str, grantee_id: str, given: Permissions, person_id: str | None) -> None:
    """Store `given` as the direct grant, or delete the grant when `given` is empty.

    `person_id` is the person who acts, None for a service. `root` is ignored; when `given` names only `root`, nothing
    changes. Raises NotYoursToWrite, UnknownPermission, PermissionTooLarge and NotYoursToGive.
    """
    if sharer_id == grantee_id:
        return
    wanted = {name: value for name, value in given.items() if name != _ROOT}
    if given and not wanted:
        return
    present = uow.grants.lock(sharer_id, grantee_id)
    if wanted and person_id == grantee_id:
        _require_own_management(present)
    _require_known(wanted)
    if person_id is not None:
        wanted = _kept_by_person(wanted, present)
    _store(uow, sharer_id, grantee_id, wanted, present)


def _require_own_management(present: Permissions) -> None:
    """Raise NotYoursToWrite unless the grantee holds a managing permission by a direct grant.

    Access through a clinic is not enough, because the grantee could turn it into a permanent grant.
    """
    if present.keys().isdisjoint(_MANAGING_NAMES):
        raise NotYoursToWrite


def _require_known(wanted: Permissions) -> None:
    known = _FREE_NAMES | _MANAGING_NAMES
    if not wanted.keys() <= known:
        raise UnknownPermission(violations=[Violation("/body/*", "unknown", sorted(known))])
    for name, value in wanted.items():
        if len(orjson.dumps(value)) > _LARGEST_VALUE:
            raise PermissionTooLarge(violations=[Violation(f"/body/{name}", "maxLength", _LARGEST_VALUE)])
        if _levels(value) > _MOST_LEVELS:
            raise PermissionTooLarge(violations=[Violation(f"/body/{name}", "depth", _MOST_LEVELS)])


def _kept_by_person(wanted: Permissions, present: Permissions) -> Permissions:
    """The permissions that a person asks for; managing permissions keep their values. Raises NotYoursToGive."""
    managing = wanted.keys() & _MANAGING_NAMES
    if not managing <= present.keys():
        raise NotYoursToGive
    return wanted | {name: present[name] for name in managing}


def _store(uow: UnitOfWork, sharer_id: str, grantee_id: str, wanted: Permissions, present: Permissions) -> None:
    if not wanted:
        uow.grants.remove(sharer_id, grantee_id)
    elif wanted != present:
        uow.grants.put(sharer_id, grantee_id, wanted)


def _levels(value: Any) -> int:
    """The depth to which objects and arrays are nested."""
    levels, nodes = 0, [value]
    while any(isinstance(node, dict | list) for node in nodes):
        levels += 1
        nodes = [child for node in nodes for child in _children(node)]
    return levels


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
