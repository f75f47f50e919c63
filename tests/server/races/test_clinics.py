"""Requests that meet: many at the same moment, by turns to two server processes on one database.

However they fall, none fails, exactly as many succeed as may, the others are refused as documented, and the rule at
which they met holds afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.ids import new_id
from clinic_service.models import Clinic, Clinician, Invite, Patient, ShareCode, Site, Tag
from clinic_service.unit_of_work import UnitOfWork, writing
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
from tests.support.invites import WEEK, make_offer, make_pending
from tests.support.races import Call, TwoServers, rows, told, winners
from tests.support.rounds import rounds
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    share_code,
    storing,
)

ROUNDS = rounds(5)
NEWCOMERS = [Somebody(f"4e3c0{number:05d}", f"Newcomer {number}", "") for number in range(8)]


@pytest.fixture(scope="module")
def servers(pair: TwoServers) -> TwoServers:
    return pair.with_accounts(ALICE, CAROL, ERIN, MALLORY, *NEWCOMERS)


class TestAdmins:
    """Rule: a clinic keeps at least one administrator."""

    @staticmethod
    def remove(clinic_id: str, who: Somebody, whom: Somebody) -> Call:
        return Call(who, "DELETE", f"/v1/clinics/{clinic_id}/clinicians/{whom.id}")

    @staticmethod
    def demote(clinic_id: str, who: Somebody, whom: Somebody) -> Call:
        body = {"email": whom.email, "roles": ["CLINIC_MEMBER"]}
        return Call(who, "PUT", f"/v1/clinics/{clinic_id}/clinicians/{whom.id}", body)

    @pytest.mark.parametrize(
        ("alice", "bob"),
        [
            (lambda c: TestAdmins.remove(c, ALICE, BOB), lambda c: TestAdmins.remove(c, BOB, ALICE)),
            (lambda c: TestAdmins.demote(c, ALICE, BOB), lambda c: TestAdmins.demote(c, BOB, ALICE)),
            (lambda c: TestAdmins.remove(c, ALICE, BOB), lambda c: TestAdmins.demote(c, BOB, ALICE)),
            (lambda c: TestAdmins.remove(c, ALICE, ALICE), lambda c: TestAdmins.remove(c, BOB, BOB)),
        ],
        ids=["remove each other", "demote each other", "remove and demote", "leave"],
    )
    def test_one_of_two_stays(
        self, servers: TwoServers, alice: Callable[[str], Call], bob: Callable[[str], Call]
    ) -> None:
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinics = [self.clinic(unit) for _ in range(4)]
            answers = servers.race([call(clinic) for clinic in clinics for call in (alice, bob)])
            for number, clinic in enumerate(clinics):
                # Refused as the last administrator, or as no administrator any more.
                winners(answers[2 * number : 2 * number + 2], 1, {422, 403})
                left = [row for row in rows(servers.database, Clinician, clinic) if row.is_admin]
                assert len(left) == 1

    @staticmethod
    def clinic(unit: UnitOfWork) -> str:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        make_clinician(unit, clinic, BOB, "CLINIC_ADMIN", "CLINIC_MEMBER")
        return clinic.id


class Kind(NamedTuple):
    """What clinics have with names, and few of."""

    model: type[Tag] | type[Site]
    path: str
    make: Callable[[UnitOfWork, Clinic, str], Any]

    def create(self, clinic_id: str, name: str) -> Call:
        return Call(ALICE, "POST", f"/v1/clinics/{clinic_id}/{self.path}", {"name": name})

    def rename(self, clinic_id: str, one: str, name: str) -> Call:
        return Call(ALICE, "PUT", f"/v1/clinics/{clinic_id}/{self.path}/{one}", {"name": name})


@pytest.mark.parametrize(
    "kind", [Kind(Tag, "patient_tags", make_tag), Kind(Site, "sites", make_site)], ids=["tag", "site"]
)
class TestTagsAndSites:
    def test_the_51st(self, servers: TwoServers, kind: Kind) -> None:
        """Rule: a clinic has at most 50 tags and 50 sites."""
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_staffed_clinic(unit)
                for number in range(48):
                    kind.make(unit, clinic, f"Old {number}")
            answers = servers.race([kind.create(clinic.id, f"New {number}") for number in range(8)])
            made = {f"New {number}" for number in winners(answers, 2, {422})}
            names = {row.name for row in rows(servers.database, kind.model, clinic.id)}
            assert len(names) == 50
            assert made < names

    def test_equal_names(self, servers: TwoServers, kind: Kind) -> None:
        """Rule: no two tags and no two sites of a clinic have the same name, in whatever letter case."""
        wanted = ["North Wing", "north wing", "NORTH WING", "north Wing"]
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_staffed_clinic(unit)
                old = [kind.make(unit, clinic, f"Old {number}").id for number in range(4)]
            created = [kind.create(clinic.id, name) for name in wanted]
            renamed = [kind.rename(clinic.id, one, name) for one, name in zip(old, wanted, strict=True)]
            [winner] = winners(servers.race(created + renamed), 1, {409})
            keys = [row.name_key for row in rows(servers.database, kind.model, clinic.id)]
            assert len(keys) == len(set(keys)) == (5 if winner < 4 else 4)


class TestShareCodes:
    """Rule: a share code leads to one clinic."""

    def test_clinics_made_at_once_have_different_ones(self, servers: TwoServers) -> None:
        body = {"name": "Harbour", "preferredBgUnits": "mg/dL"}
        answers = servers.race([Call(ALICE, "POST", "/v1/clinics", body)] * 16)
        winners(answers, 16, set())
        assert len({answer.json["shareCode"] for answer in answers}) == 16
        assert len({answer.json["id"] for answer in answers}) == 16

    def test_equal_ones_that_are_drawn_at_once(self, servers: TwoServers) -> None:
        """Below HTTP, where the drawing can be told what to draw: nobody will see two equal codes of 2 to the 60."""
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinics = [
                    Clinic(is_migrated=True, created_time=unit.now, updated_time=unit.now, id=new_id())
                    for _ in range(2)
                ]
                unit.session.add_all(clinics)
            drawn = [share_code(clinic.id) for clinic in clinics]
            start = Barrier(2)

            def give(clinic_id: str, other: str, drawn: str = drawn[0], start: Barrier = start) -> str:
                start.wait(timeout=30)
                with writing(servers.database) as unit:
                    return unit.clinics.add_share_code(clinic_id, iter([drawn, other]).__next__)

            with ThreadPoolExecutor(2) as pool:
                given = [pool.submit(give, clinic.id, drawn[1]) for clinic in clinics]
                assert {one.result(timeout=30) for one in given} == set(drawn)
            codes = {row.code for clinic in clinics for row in rows(servers.database, ShareCode, clinic.id)}
            assert codes == set(drawn)


class TestInvitations:
    """Rule: an invitation is accepted once."""

    @staticmethod
    def accept(clinic_id: str, key: str) -> Call:  # noqa: ARG004
        return Call(ERIN, "PUT", f"/v1/clinicians/{ERIN.id}/invites/{key}")

    @staticmethod
    def associate(clinic_id: str, key: str) -> Call:
        path = f"/v1/clinics/{clinic_id}/invites/clinicians/{key}/clinician"
        return Call(SERVICE, "PATCH", path, {"userId": MALLORY.id})

    @pytest.mark.parametrize(
        "calls", [(accept, accept), (associate, associate), (accept, associate)], ids=["accepted", "associated", "both"]
    )
    def test_of_a_clinician(self, servers: TwoServers, calls: tuple[Callable[[str, str], Call], ...]) -> None:
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_clinic(unit)
                key = make_pending(unit, clinic, ERIN)
            answers = servers.race([call(clinic.id, key) for call in calls * 4])
            [winner] = winners(answers, 1, {404})
            [member] = rows(servers.database, Clinician, clinic.id)
            assert member.user_id == answers[winner].json["id"]
            assert [row.status for row in rows(servers.database, Invite, clinic.id)] == ["completed"]
            assert told(servers.database, clinic.id, "clinician_added") == 1

    def test_of_a_patient(self, servers: TwoServers) -> None:
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_staffed_clinic(unit)
                key = make_offer(unit, clinic, CAROL, expires_at=clock.now() + WEEK)
            call = Call(BOB, "PUT", f"/v1/clinics/{clinic.id}/invites/patients/{key}", {})
            winners(servers.race([call] * 8), 1, {403})
            assert [row.user_id for row in rows(servers.database, Patient, clinic.id)] == [CAROL.id]
            assert [row.status for row in rows(servers.database, Invite, clinic.id)] == ["completed"]
            assert told(servers.database, clinic.id, "patient_added") == 1


class TestPatients:
    @staticmethod
    def create(clinic_id: str, person: Somebody, **body: Any) -> Call:
        return Call(SERVICE, "POST", f"/v1/clinics/{clinic_id}/patients/{person.id}", body)

    @staticmethod
    def create_account(clinic_id: str, **body: Any) -> Call:
        body = {"fullName": "New Newcomer", "birthDate": "1990-01-02"} | body
        return Call(BOB, "POST", f"/v1/clinics/{clinic_id}/patients", body)

    def test_the_same_user(self, servers: TwoServers) -> None:
        """Rule: a clinic has one record of a user."""
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_clinic(unit)
            winners(servers.race([self.create(clinic.id, CAROL)] * 8), 1, {409})
            assert len(rows(servers.database, Patient, clinic.id)) == 1
            assert told(servers.database, clinic.id, "patient_added") == 1

    def test_one_who_leaves_and_comes_back(self, servers: TwoServers) -> None:
        """Rule: each request finds the user a patient or not, and is carried out or refused for that alone."""
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_staffed_clinic(unit)
                make_patient(unit, clinic, CAROL)
            leave = Call(ALICE, "DELETE", f"/v1/clinics/{clinic.id}/patients/{CAROL.id}")
            answers = servers.race([leave, self.create(clinic.id, CAROL)] * 4)
            left, created = ([answer.status for answer in answers[first::2]] for first in (0, 1))
            assert set(left) <= {204, 404}, left
            assert set(created) <= {200, 409}, created
            patients = rows(servers.database, Patient, clinic.id)
            assert len(patients) == 1 - left.count(204) + created.count(200)
            assert told(servers.database, clinic.id, "patient_removed") == left.count(204)
            assert told(servers.database, clinic.id, "patient_added") == created.count(200)

    def test_one_who_leaves_while_an_offer_is_accepted(self, servers: TwoServers) -> None:
        """Rule: an offer is accepted, whether its maker is a patient already or not."""
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinics = [make_staffed_clinic(unit) for _ in range(4)]
                keys = [make_offer(unit, clinic, CAROL, expires_at=clock.now() + WEEK) for clinic in clinics]
                for clinic in clinics:
                    make_patient(unit, clinic, CAROL)
            paths = [f"/v1/clinics/{clinic.id}" for clinic in clinics]
            leave = [Call(CAROL, "DELETE", f"{path}/patients/{CAROL.id}") for path in paths]
            accept = [
                Call(BOB, "PUT", f"{path}/invites/patients/{key}", {}) for path, key in zip(paths, keys, strict=True)
            ]
            answers = servers.race([call for pair in zip(leave, accept, strict=True) for call in pair])
            assert [answer.status for answer in answers] == [204, 200] * 4

    def test_the_limit(self, servers: TwoServers) -> None:
        """Rule: a clinic whose plan is limited gets no more custodial patients than it allows."""
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_staffed_clinic(unit, patient_count_settings={"hardLimit": {"plan": 4}})
                make_patient(unit, clinic, CAROL)
            known = [self.create(clinic.id, person, permissions={"custodian": {}}) for person in NEWCOMERS[:4]]
            answers = servers.race([*known, *[self.create_account(clinic.id)] * 4])
            enrolled = {answers[number].json["id"] for number in winners(answers, 3, {402})}
            patients = {row.user_id for row in rows(servers.database, Patient, clinic.id)}
            assert patients == enrolled | {CAROL.id}

    def test_equal_mrns(self, servers: TwoServers) -> None:
        """Rule: where MRNs are unique, no two patients have one MRN, in whatever letter case."""
        mrns = ["MRN-a1", "mrn-A1", "Mrn-A1", "mrn-a1"]
        for _ in range(ROUNDS):
            with storing(servers.database) as unit:
                clinic = make_staffed_clinic(unit, mrn_required=True, mrn_unique=True)
                later = clock.now() + WEEK
                keys = [make_offer(unit, clinic, person, expires_at=later) for person in NEWCOMERS[4:]]
            created = [self.create(clinic.id, person, mrn=mrn) for person, mrn in zip(NEWCOMERS, mrns, strict=False)]
            path = f"/v1/clinics/{clinic.id}/invites/patients"
            accepted = [Call(BOB, "PUT", f"{path}/{key}", {"mrn": mrn}) for key, mrn in zip(keys, mrns, strict=True)]
            made = [self.create_account(clinic.id, mrn=mrn) for mrn in mrns]
            answers = servers.race(created + accepted + made)
            [winner] = winners(answers, 1, {400})
            assert [row.user_id for row in rows(servers.database, Patient, clinic.id)] == [answers[winner].json["id"]]
