"""Patients made by many at once, through two server processes on one database."""

from __future__ import annotations

from collections import Counter
from typing import Any

from clinic_service.models import EmbeddedAccount, OutboxEntry, Patient, Reservation
from tests.support.cast import BOB, SERVICE, Somebody
from tests.support.races import Call, TwoServers
from tests.support.rows import make_account, make_staffed_clinic, stored, storing

ROUNDS = 13
USERS = [Somebody(f"{number:010x}", f"User {number}", f"user{number}@mail.example") for number in range(ROUNDS * 2)]


def account_call(clinic_id: str, **members: Any) -> Call:
    body = {"fullName": "Carol Cooper", "birthDate": "1987-04-12"} | members
    return Call(BOB, "POST", f"/v1/clinics/{clinic_id}/patients", body)


def user_call(clinic_id: str, user: Somebody) -> Call:
    return Call(SERVICE, "POST", f"/v1/clinics/{clinic_id}/patients/{user.id}", {"permissions": {"custodian": {}}})


def test_the_limit_the_numbers_and_the_addresses_hold(pair: TwoServers) -> None:
    """More than 200 attempts: half of them have the number of another one, and a quarter its address."""
    limit = 40
    with storing(pair.database) as unit:
        clinic = make_staffed_clinic(unit, mrn_unique=True, patient_count_settings={"hardLimit": {"plan": limit}})
        for user in USERS:
            make_account(unit, user)
        clinic_id = clinic.id
    statuses: Counter[int] = Counter()
    for number in range(ROUNDS):
        calls = [
            account_call(clinic_id, mrn=f"A {number}", email=f"a{number}@mail.example"),
            account_call(clinic_id, mrn=f"a {number}", email=f"b{number}@mail.example"),
            account_call(clinic_id, mrn=f"B {number}", email=f"a{number}@mail.example"),
            account_call(clinic_id, mrn=f" B {number} "),
            account_call(clinic_id, mrn=f"C {number}"),
            account_call(clinic_id, mrn=f"C {number}"),
            user_call(clinic_id, USERS[2 * number]),
            user_call(clinic_id, USERS[2 * number + 1]),
        ]
        statuses.update(answer.status for answer in pair.race(calls * 2))
    assert_consistent(pair, limit, statuses)
    assert sum(statuses.values()) > 200
    assert set(statuses) == {200, 400, 402, 409}


def assert_consistent(pair: TwoServers, limit: int, statuses: Counter[int]) -> None:
    """As many patients as were answered and as the plan allows, no number twice, and no account without a record."""
    patients = stored(pair.database, Patient)
    assert len(patients) == statuses[200] == limit
    keys = [patient.mrn_key for patient in patients if patient.mrn_key]
    assert len(keys) == len(set(keys))
    assert stored(pair.database, Reservation) == []
    users = {patient.user_id for patient in patients} | {user.id for user in USERS}
    orphaned = {row.payload["userId"] for row in stored(pair.database, OutboxEntry) if row.kind == "account_orphaned"}
    accounts = {account.user_id for account in stored(pair.database, EmbeddedAccount)}
    # An account that lost its race is removed at once by a relay, or is about to be.
    assert accounts - users <= orphaned
    assert not orphaned & users
