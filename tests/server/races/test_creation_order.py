"""Whatever is listed in order of creation is so when two server processes make it by turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cast import ALICE, CAROL, SERVICE, Somebody
from tests.support.databases import clear
from tests.support.races import Call, TwoServers
from tests.support.rows import make_account, make_staffed_clinic, share_code, storing

COUNT = 12
PEOPLE = [Somebody(f"{COUNT - number:010x}", "Newcomer", f"n{number}@mail.example") for number in range(COUNT)]


@pytest.fixture
def clinic_id(pair: TwoServers) -> Iterator[str]:
    """The only clinic there is."""
    with storing(pair.database) as unit:
        for person in (ALICE, CAROL, *PEOPLE):
            make_account(unit, person)
        clinic = make_staffed_clinic(unit)
    yield clinic.id
    clear(pair.database)


def made(pair: TwoServers, calls: list[Call]) -> list[Any]:
    answers = pair.by_turns(calls)
    assert {answer.status for answer in answers} <= {200, 202}, answers
    return [answer.json for answer in answers]


def get(pair: TwoServers, as_: Somebody, path: str) -> Any:
    (answer,) = pair.by_turns([Call(as_, "GET", path)])
    assert answer.status == 200, answer
    return answer.json


def ids(rows: list[Any], name: str = "id") -> list[str]:
    return [row[name] for row in rows]


def test_what_a_clinic_has(pair: TwoServers, clinic_id: str) -> None:
    clinic = f"/v1/clinics/{clinic_id}"
    numbers = range(COUNT)
    tags = made(pair, [Call(ALICE, "POST", f"{clinic}/patient_tags", {"name": f"Tag {number}"}) for number in numbers])
    sites = made(pair, [Call(ALICE, "POST", f"{clinic}/sites", {"name": f"Site {number}"}) for number in numbers])
    shown = get(pair, ALICE, clinic)
    assert ids(shown["patientTags"]) == ids(tags)
    assert ids(shown["sites"]) == ids(sites)

    body = {"fullName": "Carol Cooper", "birthDate": "1987-04-12"}
    patients = made(pair, [Call(ALICE, "POST", f"{clinic}/patients", body) for _ in numbers])
    for sort in ("%2BfullName", "-fullName", "%2BbirthDate", "-lastReviewed", "-lastData", "%2BaverageGlucoseMmol"):
        found = get(pair, ALICE, f"{clinic}/patients?limit={COUNT}&sort={sort}&sortType=cgm")["data"]
        assert ids(found) == ids(patients), sort

    offers = made(pair, [offer(clinic_id, person) for person in PEOPLE])
    assert ids(get(pair, ALICE, f"{clinic}/invites/patients"), "key") == ids(offers, "key")[::-1]

    members = [{"id": person.id, "email": person.email, "roles": ["CLINIC_MEMBER"]} for person in PEOPLE]
    made(pair, [Call(SERVICE, "POST", f"{clinic}/clinicians", member) for member in members])
    found = get(pair, ALICE, f"{clinic}/clinicians?limit={COUNT}")
    assert ids(found) == ids(members)[::-1]

    made(pair, [Call(SERVICE, "POST", f"{clinic}/migrations", {"userId": person.id}) for person in PEOPLE])
    assert ids(get(pair, ALICE, f"{clinic}/migrations"), "userId") == [person.id for person in PEOPLE]


def offer(clinic_id: str, person: Somebody) -> Call:
    body = {"shareCode": share_code(clinic_id), "permissions": {"view": {}}}
    return Call(person, "POST", f"/confirm/send/invite/{person.id}/clinic", body)


def test_what_a_person_has(pair: TwoServers, clinic_id: str) -> None:
    body = {"name": "Hilltop", "preferredBgUnits": "mg/dL"}
    clinics = ids(made(pair, [Call(ALICE, "POST", "/v1/clinics", body) for _ in range(COUNT)]))
    assert ids(get(pair, SERVICE, "/v1/clinics?limit=100")) == [clinic_id, *clinics]
    memberships = get(pair, ALICE, f"/v1/clinicians/{ALICE.id}/clinics?limit=100")
    assert [row["clinic"]["id"] for row in memberships] == [*clinics[::-1], clinic_id]

    invite = {"email": CAROL.email, "roles": ["CLINIC_MEMBER"]}
    invites = made(pair, [Call(ALICE, "POST", f"/v1/clinics/{one}/invites/clinicians", invite) for one in clinics])
    found = get(pair, CAROL, f"/v1/clinicians/{CAROL.id}/invites")
    assert ids(found, "key") == ids(invites, "inviteId")[::-1]
