"""Merges that meet other requests: at the same moment, by turns at two server processes on one database.

However they fall, none fails, a clinic is merged once, and nobody and nothing is lost or half done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from sqlalchemy import select

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Clinician, ClinicianDeletion, Invite, MergePlanElement, Patient, ShareCode
from clinic_service.resources.summaries.reconcile import compare
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.invites import WEEK, make_offer, make_pending
from tests.support.merges import Pair
from tests.support.processes import Answer
from tests.support.races import Call, TwoServers, rows
from tests.support.rounds import rounds
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)

ROUNDS = rounds(4)
PATIENTS = [Somebody(f"4a71e0{number:04d}", f"Patient {number}", "") for number in range(12)]
NEWCOMERS = [Somebody(f"4e3c0{number:05d}", f"Newcomer {number}", "") for number in range(4)]


@pytest.fixture(scope="module")
def servers(pair: TwoServers) -> TwoServers:
    return pair.with_accounts(ALICE, CAROL, ERIN, MALLORY, PETE, *NEWCOMERS)


def merge(source_id: str, target_id: str) -> Call:
    pair = Pair(source_id, target_id)
    return Call(SERVICE, "POST", pair.path, pair.body)


class Filled(NamedTuple):
    """A clinic, and the users who are its patients."""

    id: str
    users: frozenset[str]


def fill(servers: TwoServers, *shares: slice) -> list[Filled]:
    """Clinics with Alice, a tag, a site and some of the patients each; the names of tags and sites clash."""
    made = []
    with storing(servers.database) as unit:
        for share in shares:
            clinic = make_clinic(unit)
            make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
            make_clinician(unit, clinic, BOB)
            tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "West")
            for person in PATIENTS[share]:
                patient = make_patient(unit, clinic, person, email=None)
                tag_patient(unit, patient, tag)
                place_patient(unit, patient, site)
            made.append(Filled(clinic.id, frozenset(person.id for person in PATIENTS[share])))
    return made


def present(database: Database, clinics: Sequence[Filled]) -> list[str]:
    """Those of the clinics that are there."""
    with storing(database) as unit:
        found = set(unit.session.scalars(select(Clinic.id).where(Clinic.id.in_([one.id for one in clinics]))))
    return [one.id for one in clinics if one.id in found]


def users(database: Database, clinic_id: str) -> set[str]:
    return {patient.user_id for patient in rows(database, Patient, clinic_id)}


def assert_whole(servers: TwoServers, gone: Filled, into: str, statuses: Sequence[int]) -> None:
    """Exactly one merge succeeded, all of `gone` is in `into`, and there is one plan."""
    assert sorted(statuses) == [200, *[404] * (len(statuses) - 1)]
    for model in (Patient, Clinician, ShareCode):
        assert rows(servers.database, model, gone.id) == []
    assert gone.users <= users(servers.database, into)
    assert len(rows(servers.database, ShareCode, into)) == 2
    assert len({row.plan_id for row in rows(servers.database, MergePlanElement, into)}) == 1
    assert len(rows(servers.database, ClinicianDeletion, gone.id)) == 2


def statuses_of(answers: Sequence[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def test_of_one_source_into_one_target(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 8), slice(4, 12))
        answers = servers.race([merge(source.id, target.id)] * 6)
        assert_whole(servers, source, target.id, statuses_of(answers))
        assert users(servers.database, target.id) == source.users | target.users


def test_of_one_source_into_several_targets(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        source, *targets = fill(servers, slice(0, 8), slice(4, 12), slice(6, 12), slice(0, 0))
        answers = servers.race([merge(source.id, target.id) for target in targets])
        winner = statuses_of(answers).index(200)
        assert_whole(servers, source, targets[winner].id, statuses_of(answers))
        for number, target in enumerate(targets):
            expected = target.users | source.users if number == winner else target.users
            assert users(servers.database, target.id) == expected


def test_in_a_ring(servers: TwoServers) -> None:
    """Each of two clinics into the other, and each of three into the next."""
    for _ in range(ROUNDS):
        one, other = fill(servers, slice(0, 8), slice(4, 12))
        answers = servers.race([merge(one.id, other.id), merge(other.id, one.id)] * 2)
        [left] = present(servers.database, [one, other])
        assert_whole(servers, other if left == one.id else one, left, statuses_of(answers))
        assert users(servers.database, left) == one.users | other.users


def test_in_a_ring_of_three(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        clinics = fill(servers, slice(0, 6), slice(3, 9), slice(6, 12))
        ids = [clinic.id for clinic in clinics]
        answers = servers.race([merge(ids[number], ids[(number + 1) % 3]) for number in range(3)])
        assert set(statuses_of(answers)) == {200, 404}
        left = present(servers.database, clinics)
        assert len(left) == 3 - statuses_of(answers).count(200)
        everybody = frozenset().union(*(clinic.users for clinic in clinics))
        assert set().union(*(users(servers.database, one) for one in left)) == everybody
        assert list(compare(servers.database)) == []


def test_while_a_patient_comes(servers: TwoServers) -> None:
    """Rule: whoever was told to be a patient is one afterwards, of the clinic that is left."""
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 8), slice(4, 12))
        come = [
            Call(SERVICE, "POST", f"/v1/clinics/{clinic}/patients/{person.id}", {})
            for person, clinic in zip(NEWCOMERS, [source.id, source.id, target.id, target.id], strict=True)
        ]
        first, second, *rest = statuses_of(servers.race([*come, merge(source.id, target.id)]))
        assert {first, second} <= {200, 404}
        assert rest == [200, 200, 200]
        came = {person.id for person, status in zip(NEWCOMERS, [first, second, 200, 200], strict=True) if status == 200}
        assert users(servers.database, target.id) == source.users | target.users | came
        assert users(servers.database, source.id) == set()


def test_while_an_account_is_made_for_a_patient(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 4), slice(4, 8))
        body = {"fullName": "New Newcomer", "birthDate": "1990-01-02"}
        make = Call(BOB, "POST", f"/v1/clinics/{source.id}/patients", body)
        *made, merged = servers.race([make, make, make, merge(source.id, target.id)])
        assert merged.status == 200
        # The clinic is gone, or the caller is no member of it any more.
        assert {answer.status for answer in made} <= {200, 403, 404}
        came = {answer.json["id"] for answer in made if answer.status == 200}
        assert users(servers.database, target.id) == source.users | target.users | came


def test_while_the_same_patient_comes_to_the_target(servers: TwoServers) -> None:
    """Rule: the clinic has one record of a user, whoever was first."""
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 4), slice(4, 8))
        with storing(servers.database) as unit:
            make_patient(unit, unit.clinics.get(source.id), CAROL)
        come = Call(SERVICE, "POST", f"/v1/clinics/{target.id}/patients/{CAROL.id}", {})
        came, merged = statuses_of(servers.race([come, merge(source.id, target.id)]))
        assert (came, merged) in [(200, 200), (409, 200)]
        assert len(rows(servers.database, Patient, target.id)) == 9


def test_while_an_offer_of_a_patient_is_accepted(servers: TwoServers) -> None:
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 4), slice(4, 8))
        with storing(servers.database) as unit:
            key = make_offer(unit, unit.clinics.get(source.id), CAROL, expires_at=clock.now() + WEEK)
        accept = Call(SERVICE, "PUT", f"/v1/clinics/{source.id}/invites/patients/{key}", {})
        accepted, merged = statuses_of(servers.race([accept, merge(source.id, target.id)]))
        assert merged == 200
        assert accepted in (200, 404)
        [offer] = [row for row in _invites(servers.database) if row.key == key]
        # An answered one stays where it was answered.
        expected = (source.id, "completed") if accepted == 200 else (target.id, "pending")
        assert (offer.clinic_id, offer.status) == expected
        assert (CAROL.id in users(servers.database, target.id)) is (accepted == 200)


def test_while_an_invitation_of_a_clinician_is_accepted(servers: TwoServers) -> None:
    """Rule: a merge waits for no answer, but is ruled out while one is awaited."""
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 4), slice(4, 8))
        with storing(servers.database) as unit:
            key = make_pending(unit, unit.clinics.get(source.id), ERIN)
        accept = Call(ERIN, "PUT", f"/v1/clinicians/{ERIN.id}/invites/{key}")
        accepted, merged = statuses_of(servers.race([accept, merge(source.id, target.id)]))
        assert accepted == 200
        assert merged in (200, 400)
        where = target.id if merged == 200 else source.id
        assert ERIN.id in {row.user_id for row in rows(servers.database, Clinician, where)}


def test_while_an_invitation_of_the_target_is_accepted(servers: TwoServers) -> None:
    """Rule: who is a member of the source and is invited to the target becomes a member of it once."""
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 4), slice(4, 8))
        with storing(servers.database) as unit:
            make_clinician(unit, unit.clinics.get(source.id), ERIN)
            key = make_pending(unit, unit.clinics.get(target.id), ERIN, "CLINIC_ADMIN")
        accept = Call(ERIN, "PUT", f"/v1/clinicians/{ERIN.id}/invites/{key}")
        accepted, merged = statuses_of(servers.race([accept, merge(source.id, target.id)]))
        assert merged == 200
        assert accepted in (200, 404)
        [erin] = [row for row in rows(servers.database, Clinician, target.id) if row.email == ERIN.email]
        assert (erin.user_id, erin.is_admin) == (ERIN.id, accepted == 200)


@pytest.mark.parametrize("of_source", [True, False], ids=["source", "target"])
def test_while_either_clinic_is_deleted(servers: TwoServers, of_source: bool) -> None:
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 0), slice(0, 0))
        deleted_id = source.id if of_source else target.id
        delete = Call(SERVICE, "DELETE", f"/v1/clinics/{deleted_id}")
        deleted, merged = statuses_of(servers.race([delete, merge(source.id, target.id)]))
        left = present(servers.database, [source, target])
        if of_source:
            assert (deleted, merged) in [(204, 404), (404, 200)]
            assert left == [target.id]
        else:
            # The merged clinic is still one that may be deleted.
            assert (deleted, merged) in [(204, 404), (204, 200)]
            assert left == ([source.id] if merged == 404 else [])
        assert len(rows(servers.database, ShareCode, source.id)) == (source.id in left)


def test_while_a_member_leaves(servers: TwoServers) -> None:
    """Rule: who was told to have left is in neither clinic."""
    for _ in range(ROUNDS):
        source, target = fill(servers, slice(0, 4), slice(4, 8))
        with storing(servers.database) as unit:
            make_clinician(unit, unit.clinics.get(source.id), ERIN)
        leave = Call(SERVICE, "DELETE", f"/v1/clinics/{source.id}/clinicians/{ERIN.id}")
        left, merged = statuses_of(servers.race([leave, merge(source.id, target.id)]))
        assert merged == 200
        assert left in (200, 404)
        assert (ERIN.id in {row.user_id for row in rows(servers.database, Clinician, target.id)}) is (left == 404)


def _invites(database: Database) -> list[Invite]:
    with storing(database) as unit:
        return list(unit.session.scalars(select(Invite)))
