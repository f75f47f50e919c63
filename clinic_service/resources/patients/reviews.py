"""Reviews of a patient's data by clinicians: the two latest ones are stored in the patient's row.

Each change is a single UPDATE that computes the new values from the present row. Nothing is read before, so concurrent
reviews all count. A review does not update the record's time of change.
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
# The parameters have other names than the columns, because an update uses the names of columns itself.
_THIS = and_(Patient.clinic_id == bindparam("of_clinic"), Patient.user_id == bindparam("of_user"))
_COLUMNS = (
    Patient.review_1_clinician_id,
    wire_time(Patient.review_1_time),
    Patient.review_2_clinician_id,
    wire_time(Patient.review_2_time),
)


class KeptReviews(NamedTuple):
    """The two latest reviews of a patient, the newest first; None for a missing review."""

    review_1_clinician_id: str | None
    review_1_time: str | None
    review_2_clinician_id: str | None
    review_2_time: str | None


_RECORD = (
    update(Patient)
    .where(_THIS)
    .values(
        review_1_clinician_id=bindparam("reviewer"),
        # The newest review is the first and has the latest time, even when the clocks of two servers differ.
        review_1_time=case((Patient.review_1_time > _NOW, Patient.review_1_time), else_=_NOW),
        review_2_clinician_id=Patient.review_1_clinician_id,
        review_2_time=Patient.review_1_time,
    )
    .returning(*_COLUMNS)
)


def record(uow: Unit, clinic_id: str, user_id: str, reviewer: str) -> KeptReviews:
    """Add a review with the present time, and return the two latest reviews. Raises PatientNotFound."""
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
    """Remove the newest review, which must be by `reviewer`, and return what remains.

    Raises PatientNotFound, NoReview, and NotTheReviewer when the newest review is by another clinician.
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
