"""The queries that tags and sites have in common."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Executable, Update, and_, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from clinic_service.db.dialects import constraint_name, moved_on
from clinic_service.db.repository import Repository
from clinic_service.errors import NotFound
from clinic_service.models import Label, Patient
from clinic_service.resources.labels.descriptions import LabelDescription, num_patients
from clinic_service.resources.labels.errors import DuplicateName

L = TypeVar("L", bound=Label)


def touch_patients(*conditions: ColumnElement[bool]) -> Update:
    """The statement that sets the time of change to `now` for the patients of `of_clinic` who fulfil the conditions."""
    in_clinic = Patient.clinic_id == bindparam("of_clinic")
    return update(Patient).where(in_clinic, *conditions).values(updated_time=moved_on(Patient.updated_time))


class LabelStatements(Generic[L]):
    """The constant statements about one kind of label.

    `label_id` is the column of the table of links that refers to the label, such as `PatientTag.tag_id`. Statements that
    read have the parameters `clinic_id` and `label_id`, those that change rows `of_clinic`, `of_label` and `now`.
    """

    def __init__(self, label: type[L], label_id: InstrumentedAttribute[str]) -> None:
        link = label_id.class_
        in_clinic = label.clinic_id == bindparam("clinic_id")
        this = and_(in_clinic, label.id == bindparam("label_id"))
        self.get = select(label).where(this)
        self.exists = select(label.id).where(this)
        self.keys = select(label.name_key, label.id).where(in_clinic)
        number = num_patients(label, label_id, bindparam("clinic_id")).label("num_patients")
        self.describe = select(label.id, label.name, number).where(this)
        self.remove = delete(label).where(label.clinic_id == bindparam("of_clinic"), label.id == bindparam("of_label"))
        # The links between the label and its patients.
        self.links = and_(link.clinic_id == bindparam("of_clinic"), label_id == bindparam("of_label"))
        self.has_label = Patient.id.in_(select(link.patient_id).where(self.links))
        self.touch_patients = touch_patients(self.has_label)


class LabelRepository(Repository, Generic[L]):
    """The labels of one kind, and the patients who have them. Methods that write need the lock of the clinic's row."""

    model: type[L]
    statements: LabelStatements[L]
    not_found: type[NotFound]
    duplicate_name: type[DuplicateName]

    def get(self, clinic_id: str, label_id: str) -> L:
        """The clinic's label, for changes. Raises `not_found`."""
        parameters = {"clinic_id": clinic_id, "label_id": label_id}
        label = self._uow.session.scalars(self.statements.get, parameters).one_or_none()
        if label is None:
            raise self.not_found
        return label

    def exists(self, clinic_id: str, label_id: str) -> bool:
        """Whether the clinic has the label."""
        return self._uow.first(self.statements.exists, {"clinic_id": clinic_id, "label_id": label_id}) is not None

    def ids_by_key(self, clinic_id: str) -> dict[str, str]:
        """The ids of all labels of the clinic by the keys of their names (`Label.key_of`)."""
        return {row.name_key: row.id for row in self._uow.rows(self.statements.keys, {"clinic_id": clinic_id})}

    def describe_one(self, clinic_id: str, label_id: str) -> LabelDescription:
        """The description of the label. Raises `not_found`."""
        row = self._uow.first(self.statements.describe, {"clinic_id": clinic_id, "label_id": label_id})
        if row is None:
            raise self.not_found
        return LabelDescription(*row)

    def add(self, clinic_id: str, name: str) -> L:
        """Add a label without patients. Raises `duplicate_name`; the transaction cannot be used afterwards."""
        label = self.model(clinic_id=clinic_id, id=self._uow.new_id(), name=name, name_key=self.model.key_of(name))
        self._uow.session.add(label)
        self._flush()
        return label

    def rename(self, label: L, name: str) -> None:
        """Give the label a new name. Raises `duplicate_name`; the transaction cannot be used afterwards."""
        label.name, label.name_key = name, label.key_of(name)
        self._flush()

    def remove(self, clinic_id: str, label_id: str) -> bool:
        """Delete the label and remove it from its patients. False when the clinic does not have it."""
        self._change(self.statements.touch_patients, clinic_id, label_id)
        # The links to the patients are deleted by their foreign key.
        return self._change(self.statements.remove, clinic_id, label_id) > 0

    def _change(self, statement: Executable, clinic_id: str, label_id: str, **more: Any) -> int:
        """Run the statement for the label. Returns how many rows it changed."""
        parameters = {"of_clinic": clinic_id, "of_label": label_id, "now": self._uow.now, **more}
        return self._uow.execute(statement, parameters).rowcount

    def _flush(self) -> None:
        try:
            self._uow.flush()
        except IntegrityError as error:
            if constraint_name(error) != f"uq_{self.model.__tablename__}_clinic_id_name_key":
                raise
            raise self.duplicate_name from error
