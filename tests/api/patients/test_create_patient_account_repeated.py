"""CreatePatientAccount with an Idempotency-Key where another system keeps the accounts, and the process ends meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Patient
from tests.support.cast import BOB, CAROL
from tests.support.client import Reply
from tests.support.databases import clear
from tests.support.hosted import NOW, Hosted, hosted
from tests.support.killing import killed_at
from tests.support.rows import make_staffed_clinic, stored, storing

# When nothing of what was begun can be under way any more.
LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def server(database: Database) -> Iterator[Hosted]:
    with clock.frozen(NOW), hosted(database) as made:
        yield made


def start_anew(server: Hosted) -> str:
    """A clinic, and a platform without accounts."""
    server.platform.forget()
    clear(server.database)
    with storing(server.database) as unit:
        return make_staffed_clinic(unit).id


def create(server: Hosted, clinic_id: str) -> Reply:
    body = {"fullName": CAROL.name, "birthDate": "1987-04-12", "email": CAROL.email}
    headers = {"Idempotency-Key": "8e03978e"}
    return server.api.post(f"/v1/clinics/{clinic_id}/patients", as_=BOB, json=body, headers=headers)


def test_whenever_it_ends_a_repeat_leaves_one_patient_with_one_account(server: Hosted) -> None:
    replayed: list[bool] = []
    for last in count(1):
        clinic_id = start_anew(server)
        with killed_at(server.database, last) as steps:
            create(server, clinic_id)
        at_once = create(server, clinic_id)
        # Refused while the request may be under way, unless it ended before it had begun or after it was stored.
        assert at_once.status in (200, 409), last
        with clock.frozen(LATER):
            while server.deliver():
                pass
            reply = create(server, clinic_id)
            assert reply.status == 200, last
            assert create(server, clinic_id).body == reply.body
            while server.deliver():
                pass
        patients = {patient.user_id for patient in stored(server.database, Patient)}
        assert patients == set(server.platform.users) == {reply.json["id"]}, last
        replayed.append("Idempotent-Replayed" in at_once.headers)
        if not steps.reached:
            break
    assert len(replayed) > 15
    # Not at first, and from some step on.
    assert replayed == sorted(replayed)
