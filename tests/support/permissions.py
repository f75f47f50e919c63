"""What patients grant a clinic, as the tests look at it."""

from __future__ import annotations

from clinic_service.db.engine import Database
from clinic_service.models import Patient
from tests.support.cast import CAROL, Somebody
from tests.support.rows import stored

ALL = ("custodian", "view", "upload", "note")


def granted(database: Database, person: Somebody = CAROL) -> set[str] | None:
    """What the person grants the only clinic, None when the person is none of its patients."""
    found = [patient.permissions for patient in stored(database, Patient) if patient.user_id == person.id]
    return {name.value for name in found[0] or ()} if found else None
