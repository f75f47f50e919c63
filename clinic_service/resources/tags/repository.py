"""What is asked about tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, bindparam, delete, func, not_, select, update
from sqlalchemy.exc import IntegrityError

from clinic_service.db.dialects import constraint_name, insert_or_skip, moved_on
from clinic_service.db.repository import Repository
from clinic_service.models import Patient, PatientTag, Tag
from clinic_service.resources.tags.errors import DuplicateTagName, TagNotFound

_ONE_NAME = "uq_tags_clinic_id_name_key"

_THIS = and_(Tag.clinic_id == bindparam("clinic_id"), Tag.id == bindparam("tag_id"))
_GET = select(Tag).where(_THIS)
_EXISTS = select(Tag.id).where(_THIS)
_KEYS = select(Tag.name_key, Tag.id).where(Tag.clinic_id == bindparam("clinic_id"))
_CARRIED = (
    select(func.count())
    .select_from(PatientTag)
    .where(PatientTag.clinic_id == Tag.clinic_id, PatientTag.tag_id == Tag.id)
    .scalar_subquery()
)
_DESCRIBE = select(Tag.id, Tag.name, _CARRIED.label("num_patients")).where(_THIS)
_REMOVE = delete(Tag).where(Tag.clinic_id == bindparam("of_clinic"), Tag.id == bindparam("of_tag"))

_OF_CLINIC = Patient.clinic_id == bindparam("of_clinic")
_NAMED = Patient.user_id.in_(bindparam("user_ids", expanding=True))
_THE_LINKS = and_(PatientTag.clinic_id == bindparam("of_clinic"), PatientTag.tag_id == bindparam("of_tag"))
_CARRIES = Patient.id.in_(select(PatientTag.patient_id).where(_THE_LINKS))


def _move_on(*conditions: ColumnElement[bool]) -> Update:
    return update(Patient).where(_OF_CLINIC, *conditions).values(updated_time=moved_on(Patient.updated_time))


def _give(*conditions: ColumnElement[bool]) -> Any:
    # The tag is read as well, so that one that is not the clinic's is given to nobody.
    given = (
        select(Patient.clinic_id, Patient.id, Tag.id)
        .join(Tag, and_(Tag.clinic_id == Patient.clinic_id, Tag.id == bindparam("of_tag")))
        .where(_OF_CLINIC, not_(_CARRIES), *conditions)
    )
    return insert_or_skip(PatientTag).from_select(["clinic_id", "patient_id", "tag_id"], given)


# What changes a patient's tags moves the time of those patients alone who are really changed, hence before the change.
_GIVE_ALL = (_move_on(not_(_CARRIES)), _give())
_GIVE_NAMED = (_move_on(not_(_CARRIES), _NAMED), _give(_NAMED))
_TAKE_ALL = (_move_on(_CARRIES), delete(PatientTag).where(_THE_LINKS))
_TAKE_NAMED = (
    _move_on(_CARRIES, _NAMED),
    delete(PatientTag).where(_THE_LINKS, PatientTag.patient_id.in_(select(Patient.id).where(_OF_CLINIC, _NAMED))),
)
# Who carries the tag loses it with it.
_REMOVE_EVERYWHERE = (_move_on(_CARRIES), _REMOVE)


class TagRepository(Repository):
    """Tags and the patients who carry them. What writes needs the lock of the clinic's row."""

    def get(self, clinic_id: str, tag_id: str) -> Tag:
        """The clinic's tag, to be changed. Raises TagNotFound."""
        tag = self._uow.session.scalars(_GET, {"clinic_id": clinic_id, "tag_id": tag_id}).one_or_none()
        if tag is None:
            raise TagNotFound
        return tag

    def exists(self, clinic_id: str, tag_id: str) -> bool:
        """Whether the clinic has the tag."""
        return self._uow.first(_EXISTS, {"clinic_id": clinic_id, "tag_id": tag_id}) is not None

    def ids_by_key(self, clinic_id: str) -> dict[str, str]:
        """The ids of all tags of the clinic by the form in which their names are compared (`Tag.key_of`)."""
        return {row.name_key: row.id for row in self._uow.rows(_KEYS, {"clinic_id": clinic_id})}

    def describe_one(self, clinic_id: str, tag_id: str) -> Any:
        """What is shown of the tag: `id`, `name` and `num_patients`. Raises TagNotFound."""
        row = self._uow.first(_DESCRIBE, {"clinic_id": clinic_id, "tag_id": tag_id})
        if row is None:
            raise TagNotFound
        return row

    def add(self, clinic_id: str, name: str) -> Tag:
        """A new tag that nobody carries. Raises DuplicateTagName; the transaction cannot be used afterwards."""
        tag = Tag(clinic_id=clinic_id, id=self._uow.new_id(), name=name, name_key=Tag.key_of(name))
        self._uow.session.add(tag)
        self._flush()
        return tag

    def rename(self, tag: Tag, name: str) -> None:
        """Give the tag a new name. Raises DuplicateTagName; the transaction cannot be used afterwards."""
        tag.name, tag.name_key = name, Tag.key_of(name)
        self._flush()

    def remove(self, clinic_id: str, tag_id: str) -> bool:
        """Delete the tag, which also leaves all patients. False when the clinic does not have it."""
        return self._change(_REMOVE_EVERYWHERE, clinic_id, tag_id) > 0

    def give(self, clinic_id: str, tag_id: str, user_ids: Sequence[str] | None) -> None:
        """Let the patients with these user ids, or all for None, carry the tag; the others of the ids are skipped."""
        self._change(_GIVE_ALL if user_ids is None else _GIVE_NAMED, clinic_id, tag_id, user_ids)

    def take(self, clinic_id: str, tag_id: str, user_ids: Sequence[str] | None) -> None:
        """Take the tag from the patients with these user ids, from all for None."""
        self._change(_TAKE_ALL if user_ids is None else _TAKE_NAMED, clinic_id, tag_id, user_ids)

    def _change(
        self, statements: Sequence[Any], clinic_id: str, tag_id: str, user_ids: Sequence[str] | None = None
    ) -> int:
        """How many rows the last of the statements changed."""
        changed = 0
        for statement in statements:
            changed = self._uow.execute(statement, self._parameters(statement, clinic_id, tag_id, user_ids)).rowcount
        return changed

    def _parameters(
        self, statement: Any, clinic_id: str, tag_id: str, user_ids: Sequence[str] | None
    ) -> Mapping[str, Any]:
        parameters: dict[str, Any] = {"of_clinic": clinic_id, "of_tag": tag_id}
        if isinstance(statement, Update):
            parameters["now"] = self._uow.now
        return parameters if user_ids is None else parameters | {"user_ids": list(user_ids)}

    def _flush(self) -> None:
        try:
            self._uow.flush()
        except IntegrityError as error:
            if constraint_name(error) != _ONE_NAME:
                raise
            raise DuplicateTagName from error
