"""The data of a label that the API shows."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.orm import InstrumentedAttribute

from clinic_service.models.label import Label


class LabelDescription(NamedTuple):
    """A tag or site of a clinic, and the number of the clinic's patients who have it."""

    id: str
    name: str
    num_patients: int


def num_patients(
    label: type[Label], label_id: InstrumentedAttribute[str], clinic_id: ColumnElement[str] | InstrumentedAttribute[str]
) -> ScalarSelect[int]:
    """The number of patients who have the label of the enclosing query.

    `label_id` is the column of the table of links that refers to the label, such as `PatientTag.tag_id`. `clinic_id` is the
    clinic: the parameter of a query for one clinic, else the column of the label.
    """
    link = label_id.class_
    linked = select(func.count()).select_from(link).where(link.clinic_id == clinic_id, label_id == label.id)
    return linked.scalar_subquery()
