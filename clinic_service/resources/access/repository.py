"""The queries about grants, and the only place that changes grants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, bindparam, cast, delete, null, or_, select, union_all

from clinic_service.db.dialects import among, insert_or_update
from clinic_service.db.repository import Repository
from clinic_service.db.types import Json, ObjectId
from clinic_service.models import Clinician, Grant, Membership, Patient, PatientRecord, Permission
from clinic_service.outbox.events import AccessChanged
from clinic_service.outbox.outbox import Outbox

Permissions = dict[str, Any]

_CLINIC_FLAGS = {
    Permission.CUSTODIAN: Patient.permission_custodian,
    Permission.VIEW: Patient.permission_view,
    Permission.UPLOAD: Patient.permission_upload,
    Permission.NOTE: Patient.permission_note,
}
_OF_PAIR = and_(Grant.sharer_id == bindparam("sharer_id"), Grant.grantee_id == bindparam("grantee_id"))

_MEMBERSHIPS = select(Membership.clinic_id).where(Membership.user_id == bindparam("grantee_id"))
_OF_OTHERS = Grant.sharer_id != Grant.grantee_id


class GrantRepository(Repository):
    """Direct grants, and the effective permissions that follow from them and from clinics.

    Every change adds its event to the outbox here, because several groups change grants.
    """

    # The direct grant, and the clinics of both. One statement, because most pairs have no clinic in common.
    _OF_BOTH = union_all(
        select(Grant.permissions.label("permissions"), cast(null(), ObjectId()).label("clinic_id")).where(_OF_PAIR),
        select(cast(null(), Json), PatientRecord.clinic_id).where(
            PatientRecord.user_id == bindparam("sharer_id"), PatientRecord.clinic_id.in_(_MEMBERSHIPS)
        ),
    )
    _THROUGH_CLINICS = (
        select(*_CLINIC_FLAGS.values())
        .join(Clinician, Clinician.clinic_id == Patient.clinic_id)
        .where(
            among(Patient.clinic_id, "clinic_ids"),
            Patient.user_id == bindparam("sharer_id"),
            Clinician.user_id == bindparam("grantee_id"),
            or_(Clinician.is_admin, Clinician.is_member),
        )
    )

    def effective(self, sharer_id: str, grantee_id: str) -> Permissions:
        """What the grantee may do with the sharer's data, each permission with its value; empty without any permission.

        For the user's own data this is `root` and nothing else. Otherwise it is the direct grant, together with the
        permissions that the sharer gave to those clinics in which the grantee is a member or an admin.
        """
        if sharer_id == grantee_id:
            return {"root": {}}
        pair = {"sharer_id": sharer_id, "grantee_id": grantee_id}
        found = self._uow.rows(self._OF_BOTH, pair)
        clinic_ids = [clinic_id for _, clinic_id in found if clinic_id is not None]
        through = self._uow.rows(self._THROUGH_CLINICS, {**pair, "clinic_ids": clinic_ids}) if clinic_ids else []
        held: Permissions = {}
        for flags in through:
            held |= _clinic_permissions(flags)
        # The permissions of a clinic have no values, so the value of a direct grant is always kept.
        for granted, _ in found:
            held |= granted or {}
        return held

    _LOCK = select(Grant.permissions).where(_OF_PAIR).with_for_update()

    def lock(self, sharer_id: str, grantee_id: str) -> Permissions:
        """The direct grant, locked until this unit of work ends; empty when there is none."""
        found = self._uow.first(self._LOCK, {"sharer_id": sharer_id, "grantee_id": grantee_id})
        return found[0] if found else {}

    _OF_SHARER = (
        select(Grant.grantee_id.label("user_id"), Grant.permissions)
        .where(Grant.sharer_id == bindparam("user_id"), _OF_OTHERS)
        .order_by(Grant.grantee_id)
    )

    def list_of_sharer(self, user_id: str) -> dict[str, Permissions]:
        """The direct grants that the user gave to others, by grantee, in the order of their ids."""
        return dict(self._uow.rows(self._OF_SHARER, {"user_id": user_id}))

    _OF_GRANTEE = (
        select(Grant.sharer_id.label("user_id"), Grant.permissions)
        .where(Grant.grantee_id == bindparam("user_id"), _OF_OTHERS)
        .order_by(Grant.sharer_id)
    )

    def list_of_grantee(self, user_id: str) -> dict[str, Permissions]:
        """The direct grants that others gave the user, by sharer, in the order of their ids."""
        return dict(self._uow.rows(self._OF_GRANTEE, {"user_id": user_id}))

    # When two writers store the same grant, the later one replaces all columns, even when neither had seen a row.
    _PUT = insert_or_update(Grant, "permissions")

    def put(self, sharer_id: str, grantee_id: str, permissions: Permissions) -> None:
        """Store `permissions`, at least one, as the direct grant. They replace an earlier grant."""
        self._uow.insert(self._PUT, {"sharer_id": sharer_id, "grantee_id": grantee_id, "permissions": permissions})
        self._announce([(sharer_id, grantee_id)])

    _REMOVE = delete(Grant).where(_OF_PAIR).returning(Grant.sharer_id)

    def remove(self, sharer_id: str, grantee_id: str) -> None:
        """Delete the direct grant. A missing grant is no error."""
        removed = self._uow.execute(self._REMOVE, {"sharer_id": sharer_id, "grantee_id": grantee_id})
        if removed.first():
            self._announce([(sharer_id, grantee_id)])

    _REMOVE_ALL_OF = (
        delete(Grant)
        .where(or_(Grant.sharer_id == bindparam("user_id"), Grant.grantee_id == bindparam("user_id")))
        .returning(Grant.sharer_id, Grant.grantee_id)
    )

    def remove_all_of(self, user_id: str) -> None:
        """Delete every direct grant that the user gave or received."""
        removed = self._uow.execute(self._REMOVE_ALL_OF, {"user_id": user_id})
        self._announce((row.sharer_id, row.grantee_id) for row in removed.all())

    def _announce(self, pairs: Iterable[tuple[str, str]]) -> None:
        Outbox(self._uow).add(*(AccessChanged(sharer_id, grantee_id) for sharer_id, grantee_id in sorted(pairs)))


def _clinic_permissions(flags: Iterable[bool]) -> Permissions:
    return {permission.value: {} for permission, held in zip(_CLINIC_FLAGS, flags, strict=True) if held}
