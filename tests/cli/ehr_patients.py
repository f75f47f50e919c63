"""Patients and messages for the tests of `clinic-service ehr`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from click.testing import Result

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Patient
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.ehr.redox.messages import receive
from tests.ehr.orders import order
from tests.support.cast import Somebody
from tests.support.ehr import make_subscription
from tests.support.rows import make_patient, storing

Run = Callable[..., Result]


def add_patient(database: Database, clinic: Clinic, person: Somebody, *permissions: str, **values: Any) -> Patient:
    """A patient whose number, if any, is compared as that of one who was enrolled."""
    with storing(database) as unit:
        return make_patient(unit, clinic, person, *permissions, mrn_key=mrn_key(values.get("mrn")), **values)


def subscribe(database: Database, patient: Patient, *document_ids: str, **values: Any) -> None:
    with storing(database) as unit:
        make_subscription(unit, unit.patients.get(patient.clinic_id, patient.user_id), *document_ids, **values)


def receive_message(database: Database, message: dict[str, Any] | None = None) -> str:
    message = order() if message is None else message
    with storing(database) as unit:
        return receive(unit, message, json.dumps(message))
