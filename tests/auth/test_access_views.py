"""All views of access agree with plain sets, whatever people and clinics do."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from clinic_service.db.engine import Database
from clinic_service.models import Patient
from clinic_service.unit_of_work import reading
from tests.support.cast import ALICE, BOB, CAROL, DAVE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.databases import clear
from tests.support.rows import make_clinic, make_clinician, make_patient, storing

PEOPLE = (ALICE, BOB, CAROL, DAVE)
CLINICS = (0, 1)
FREE_NAMES = ("view", "upload", "note", "follow")
ALL_NAMES = (*FREE_NAMES, "custodian", "admin")
PATIENT_NAMES = ("custodian", "view", "upload", "note")
MANAGING = {"custodian", "admin"}

people = st.sampled_from(PEOPLE)
clinics = st.sampled_from(CLINICS)


def names_of(names: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(names))


class AccessMachine(RuleBasedStateMachine):
    """The model: who was granted which names, who works where in which role, who is a patient where."""

    def __init__(self, api: Client, database: Database) -> None:
        super().__init__()
        self.api, self.database = api, database
        self.clinics: list[Any] = []
        self.grants: dict[tuple[Somebody, Somebody], frozenset[str]] = {}
        self.staff: dict[tuple[int, Somebody], str] = {}
        self.patients: dict[tuple[int, Somebody], frozenset[str]] = {}

    def teardown(self) -> None:
        clear(self.database)

    def effective(self, sharer: Somebody, grantee: Somebody) -> frozenset[str]:
        if sharer == grantee:
            return frozenset({"root"})
        held = self.grants.get((sharer, grantee), frozenset())
        for clinic in CLINICS:
            if self.staff.get((clinic, grantee), "PRESCRIBER") != "PRESCRIBER":
                held |= self.patients.get((clinic, sharer), frozenset())
        return held

    def may_write(self, caller: Somebody, sharer: Somebody, grantee: Somebody, wanted: frozenset[str]) -> bool:
        """What the rules on callers and on names say together."""
        if caller == SERVICE:
            return True
        present = self.grants.get((sharer, grantee), frozenset())
        if caller == sharer == grantee:
            return True
        if caller == grantee and wanted and not present & MANAGING:
            return False
        return caller in (sharer, grantee) or bool(self.effective(sharer, caller) & MANAGING)

    @initialize()
    def open_clinics(self) -> None:
        with storing(self.database) as unit:
            self.clinics = [make_clinic(unit) for _ in CLINICS]

    @rule(caller=st.sampled_from((*PEOPLE, SERVICE)), sharer=people, grantee=people, wanted=names_of(ALL_NAMES))
    def write_grant(self, caller: Somebody, sharer: Somebody, grantee: Somebody, wanted: frozenset[str]) -> None:
        body: dict[str, Any] = {name: {} for name in wanted}
        reply = self.api.post(f"/access/{sharer.id}/{grantee.id}", as_=caller, json=body)
        present = self.grants.get((sharer, grantee), frozenset())
        gives = caller != SERVICE and sharer != grantee and not wanted & MANAGING <= present
        allowed = self.may_write(caller, sharer, grantee, wanted) and not gives
        assert reply.status == (200 if allowed else 403)
        if not allowed:
            return
        if sharer != grantee:
            self.grants[sharer, grantee] = wanted
        assert frozenset(reply.json or ()) == self.effective(sharer, grantee)

    @rule(clinic=clinics, person=people, role=st.sampled_from(("CLINIC_ADMIN", "CLINIC_MEMBER", "PRESCRIBER")))
    def hire(self, clinic: int, person: Somebody, role: str) -> None:
        with storing(self.database) as unit:
            present = unit.clinicians.find(self.clinics[clinic].id, person.id)
            if present:
                present.roles = [role]
            else:
                make_clinician(unit, self.clinics[clinic], person, role)
        self.staff[clinic, person] = role

    @rule(clinic=clinics, person=people)
    def dismiss(self, clinic: int, person: Somebody) -> None:
        with storing(self.database) as unit:
            present = unit.clinicians.find(self.clinics[clinic].id, person.id)
            unit.clinicians.remove([present] if present else [], None)
        self.staff.pop((clinic, person), None)

    @rule(clinic=clinics, person=people, names=names_of(PATIENT_NAMES))
    def enrol(self, clinic: int, person: Somebody, names: frozenset[str]) -> None:
        with storing(self.database) as unit:
            present = unit.patients.find(self.clinics[clinic].id, person.id)
            patient: Patient = present or make_patient(unit, self.clinics[clinic], person)
            patient.permissions = names
        self.patients[clinic, person] = names

    @rule(clinic=clinics, person=people)
    def discharge(self, clinic: int, person: Somebody) -> None:
        with storing(self.database) as unit:
            present = unit.patients.find(self.clinics[clinic].id, person.id)
            unit.patients.remove([present] if present else [], None)
        self.patients.pop((clinic, person), None)

    @rule(person=people)
    def delete_grants(self, person: Somebody) -> None:
        with storing(self.database) as unit:
            unit.grants.remove_all_of(person.id)
        self.grants = {pair: names for pair, names in self.grants.items() if person not in pair}

    @rule(caller=people, sharer=people, grantee=people)
    def look(self, caller: Somebody, sharer: Somebody, grantee: Somebody) -> None:
        held = self.effective(sharer, caller)
        one = self.api.get(f"/access/{sharer.id}/{grantee.id}", as_=caller).status
        if caller in (sharer, grantee) or held & MANAGING:
            assert one == (200 if self.effective(sharer, grantee) else 404)
        else:
            assert one == 403
        for path in (f"/access/{sharer.id}", f"/access/groups/{sharer.id}"):
            expected = 200 if caller == sharer or "custodian" in held else 403
            assert self.api.get(path, as_=caller).status == expected

    @rule(person=people)
    def list_both_ways(self, person: Somebody) -> None:
        given = {g.id: names for (s, g), names in self.grants.items() if s == person and names}
        received = {s.id: names for (s, g), names in self.grants.items() if g == person and names}
        for path, expected in ((f"/access/{person.id}", given), (f"/access/groups/{person.id}", received)):
            listed = self.api.get(path, as_=person).json
            assert {user_id: frozenset(names) for user_id, names in listed.items()} == {
                person.id: frozenset({"root"}),
                **expected,
            }

    @invariant()
    def effective_permissions_agree(self) -> None:
        with reading(self.database) as unit:
            for sharer, grantee in product(PEOPLE, repeat=2):
                held = unit.grants.effective(sharer.id, grantee.id)
                assert frozenset(held) == self.effective(sharer, grantee)


def test_all_views_of_access_agree_with_plain_sets(api: Client, database: Database) -> None:
    class Machine(AccessMachine):
        def __init__(self) -> None:
            super().__init__(api, database)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
