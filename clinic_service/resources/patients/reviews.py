"""Who has looked at a patient's data: the two latest reviews, kept in the patient's own row.

Both changes are one statement each, which the database applies to the row as the last one left it. Nobody reads first
and writes afterwards, so reviews that are made at the same moment all count. They are no change of the record: its time
of change stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BindParameter, and_, bindparam, case, null, select, update

from clinic_service.db.repository import Unit
from clinic_service.db.types import UtcDateTime, wire_time
from clinic_service.models import Patient
from clinic_service.resources.patients.errors import NoReview, NotTheReviewer, PatientNotFound

_NOW: BindParameter[datetime] = bindparam("now", type_=UtcDateTime())
# An update has the names of the columns for itself.
_THIS = and_(Patient.clinic_id == bindparam("of_clinic"), Patient.user_id == bindparam("of_user"))
_COLUMNS = (
    Patient.review_1_clinician_id,
    wire_time(Patient.review_1_time),
    Patient.review_2_clinician_id,
    wire_time(Patient.review_2_time),
)


class KeptReviews(NamedTuple):
    """The two latest reviews of a patient, the later one first; None where there is none."""

    review_1_clinician_id: str | None
    review_1_time: str | None
    review_2_clinician_id: str | None
    review_2_time: str | None


_RECORD = (
    update(Patient)
    .where(_THIS)
    .values(
        review_1_clinician_id=bindparam("reviewer"),
        # The newest stands first and has the latest time, also when the clocks of two servers differ.
        review_1_time=case((Patient.review_1_time > _NOW, Patient.review_1_time), else_=_NOW),
        review_2_clinician_id=Patient.review_1_clinician_id,
        review_2_time=Patient.review_1_time,
    )
    .returning(*_COLUMNS)
)


def record(uow: Unit, clinic_id: str, user_id: str, reviewer: str) -> KeptReviews:
    """Put a review of this moment in front; the two that are kept. Raises PatientNotFound."""
    parameters = {"of_clinic": clinic_id, "of_user": user_id, "reviewer": reviewer, "now": uow.now}
    kept = uow.execute(_RECORD, parameters).first()
    if kept is None:
        raise PatientNotFound
    return KeptReviews._make(kept)


_TAKE_BACK = (
    update(Patient)
    .where(_THIS, Patient.review_1_clinician_id == bindparam("reviewer"))
    .values(
        review_1_clinician_id=Patient.review_2_clinician_id,
        review_1_time=Patient.review_2_time,
        review_2_clinician_id=null(),
        review_2_time=null(),
    )
    .returning(*_COLUMNS)
)


def take_back(uow: Unit, clinic_id: str, user_id: str, reviewer: str) -> KeptReviews:
    """Drop the newest review if `reviewer` made it; what is left.

    Raises PatientNotFound, NoReview, and NotTheReviewer when somebody else made the newest.
    """
    this = {"of_clinic": clinic_id, "of_user": user_id}
    kept = uow.execute(_TAKE_BACK, this | {"reviewer": reviewer}).first()
    if kept is None:
        raise _why_not(uow, this)
    return KeptReviews._make(kept)


_NEWEST = select(Patient.review_1_clinician_id).where(_THIS)


def _why_not(uow: Unit, this: Mapping[str, str]) -> Exception:
    newest = uow.first(_NEWEST, this)
    if newest is None:
        return PatientNotFound()
    (reviewer,) = newest
    return NoReview() if reviewer is None else NotTheReviewer()
