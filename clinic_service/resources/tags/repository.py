"""The queries about tags only. Queries that tags share with sites are in `labels/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, bindparam, delete, not_, select

from clinic_service.db.dialects import insert_or_skip
from clinic_service.models import Patient, PatientTag, Tag
from clinic_service.resources.labels.repository import LabelRepository, LabelStatements, touch_patients
from clinic_service.resources.tags.errors import DuplicateTagName, TagNotFound

_STATEMENTS = LabelStatements(Tag, PatientTag.tag_id)

_IN_CLINIC = Patient.clinic_id == bindparam("of_clinic")
_LISTED = Patient.user_id.in_(bindparam("user_ids", expanding=True))
_HAS_TAG = _STATEMENTS.has_label


def _give(*conditions: ColumnElement[bool]) -> Any:
    # The statement also reads the tag, so that a tag of another clinic is given to no patient.
    given = (
        select(Patient.clinic_id, Patient.id, Tag.id)
        .join(Tag, and_(Tag.clinic_id == Patient.clinic_id, Tag.id == bindparam("of_label")))
        .where(_IN_CLINIC, not_(_HAS_TAG), *conditions)
    )
    return insert_or_skip(PatientTag).from_select(["clinic_id", "patient_id", "tag_id"], given)


# The times of the patients are updated first: after the change, the patients could no longer be found.
_GIVE_TO_ALL = (touch_patients(not_(_HAS_TAG)), _give())
_GIVE_TO_LISTED = (touch_patients(not_(_HAS_TAG), _LISTED), _give(_LISTED))
_TAKE_FROM_ALL = (_STATEMENTS.touch_patients, delete(PatientTag).where(_STATEMENTS.links))
_TAKE_FROM_LISTED = (
    touch_patients(_HAS_TAG, _LISTED),
    delete(PatientTag).where(
        _STATEMENTS.links, PatientTag.patient_id.in_(select(Patient.id).where(_IN_CLINIC, _LISTED))
    ),
)


class TagRepository(LabelRepository[Tag]):
    """Tags and the patients who have them. Methods that write need the lock of the clinic's row."""

    model = Tag
    statements = _STATEMENTS
    not_found = TagNotFound
    duplicate_name = DuplicateTagName

    def give(self, clinic_id: str, tag_id: str, user_ids: Sequence[str] | None) -> None:
        """Give the tag to the clinic's patients with these user ids, or to all for None. Other user ids are ignored."""
        self._change_patients(_GIVE_TO_ALL if user_ids is None else _GIVE_TO_LISTED, clinic_id, tag_id, user_ids)

    def take(self, clinic_id: str, tag_id: str, user_ids: Sequence[str] | None) -> None:
        """Remove the tag from the clinic's patients with these user ids, or from all for None."""
        self._change_patients(_TAKE_FROM_ALL if user_ids is None else _TAKE_FROM_LISTED, clinic_id, tag_id, user_ids)

    def _change_patients(
        self, statements: Sequence[Executable], clinic_id: str, tag_id: str, user_ids: Sequence[str] | None
    ) -> None:
        listed = {} if user_ids is None else {"user_ids": list(user_ids)}
        for statement in statements:
            self._change(statement, clinic_id, tag_id, **listed)
