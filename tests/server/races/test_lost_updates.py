"""Lost updates: clients that read, change and write the same object at once, through two server processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.support.cast import ALICE, CAROL, SERVICE
from tests.support.processes import Answer
from tests.support.races import Call, TwoServers
from tests.support.rounds import rounds
from tests.support.rows import COMPLETE_CLINIC, make_patient, make_staffed_clinic, storing

CLIENTS, ROUNDS = 4, rounds(15)


@pytest.fixture
def clinic_id(pair: TwoServers) -> str:
    """A clinic with Carol, whose record number is 0, and with the address 0."""
    with storing(pair.database) as unit:
        clinic = make_staffed_clinic(unit, **COMPLETE_CLINIC | {"address": "0"})
        make_patient(unit, clinic, CAROL, mrn="0")
        return clinic.id


class Counter(NamedTuple):
    """An object with a member that counts."""

    path: str
    member: str
    call: Callable[..., Answer]

    def add_one(self, number: int) -> int:
        """Add one with If-Match, and start again as often as somebody else was faster. Returns how often that was."""
        for tries in range(1000):
            seen = self.call(number, "GET", self.path)
            body = {**seen.json, self.member: str(int(seen.json[self.member]) + 1)}
            written = self.call(number, "PUT", self.path, body, {"If-Match": seen.headers["ETag"]})
            if written.status == 200:
                return tries
            assert written.status == 412, written
        raise AssertionError("no end")


@pytest.mark.parametrize(("address", "member"), [("", "address"), (f"/patients/{CAROL.id}", "mrn")])
def test_with_if_match_no_update_is_lost(pair: TwoServers, clinic_id: str, address: str, member: str) -> None:
    def call(number: int, method: str, path: str, json: Any = ..., headers: dict[str, str] | None = None) -> Answer:
        return Call(SERVICE, method, path, json, headers).send(pair.servers[number % 2])

    counter = Counter(f"/v1/clinics/{clinic_id}{address}", member, call)
    with ThreadPoolExecutor(CLIENTS) as pool:
        repeated = sum(pool.map(counter.add_one, range(CLIENTS * ROUNDS)))
    assert call(0, "GET", counter.path).json[member] == str(CLIENTS * ROUNDS)
    assert repeated > 0, "the clients never met"


def test_without_if_match_a_write_changes_only_what_it_names(pair: TwoServers, clinic_id: str) -> None:
    """Each client writes a member of its own; whatever the others write meanwhile, it stays as written last."""
    path, required = f"/v1/clinics/{clinic_id}", {"name": "Harbour", "preferredBgUnits": "mg/dL"}
    for number in range(8):
        written = {member: f"{member} {number}" for member in ("address", "city", "postalCode", "state", "website")}
        calls = [Call(SERVICE, "PUT", path, {**required, member: value}) for member, value in written.items()]
        assert {answer.status for answer in pair.race(calls)} == {200}
        stored = Call(SERVICE, "GET", path).send(pair.servers[0]).json
        assert stored.items() >= written.items()


def test_without_if_match_operations_on_one_patient_leave_each_other_alone(pair: TwoServers, clinic_id: str) -> None:
    """The record, its permissions, a review, a tag and the data sources are written at the same moment."""
    clinic, patient = f"/v1/clinics/{clinic_id}", f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
    tag = Call(SERVICE, "POST", f"{clinic}/patient_tags", {"name": "Pump"}).send(pair.servers[0]).json["id"]
    source = {"dataSourceId": "65f1c0de0a1b2c3d4e5f6a7b", "providerName": "dexcom", "state": "connected"}
    for number in range(8):
        record = {"fullName": f"Carol {number}", "birthDate": "1987-04-12", "email": CAROL.email, "mrn": f"M{number}"}
        permissions: dict[str, Any] = {"view": {}, **({"upload": {}} if number % 2 else {"note": {}})}
        sources = [{**source, "state": "connected" if number % 2 else "error"}]
        answers = pair.race(
            [
                Call(SERVICE, "PUT", patient, record),
                Call(CAROL, "PUT", f"{patient}/permissions", permissions),
                Call(ALICE, "PUT", f"{patient}/reviews"),
                Call(SERVICE, "POST", f"{clinic}/patients/assign_tag/{tag}", [CAROL.id]),
                Call(SERVICE, "PUT", f"/v1/patients/{CAROL.id}/data_sources", sources),
            ]
        )
        assert {answer.status for answer in answers} == {200}
        stored = Call(SERVICE, "GET", patient).send(pair.servers[0]).json
        assert (stored["fullName"], stored["mrn"]) == (record["fullName"], record["mrn"])
        assert stored["permissions"].keys() == permissions.keys()
        assert [one["clinicianId"] for one in stored["reviews"]] == [ALICE.id] * min(number + 1, 2)
        assert stored["tags"] == [tag]
        assert [one["state"] for one in stored["dataSources"]] == [sources[0]["state"]]
