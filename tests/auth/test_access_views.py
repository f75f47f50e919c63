"""All views of access agree with plain sets, whatever patients, clinicians, clinics and services do.

Every change goes through the API in somebody's name, and after every step every view
that the API has of the result is asked for: who may do what with whose data, who granted what to whom, what each clinic
knows of each patient, and which clinics each patient has.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from clinic_service.db.engine import Database
from tests.support.access_model import ADMIN, MANAGING, MEMBER, NONE, PRESCRIBER, ROOT, AccessModel, Names
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.databases import clear
from tests.support.rounds import rounds
from tests.support.rows import make_account, storing

# One who shares, one who is granted something, and one who manages for them: every part may fall to everybody.
PEOPLE = (ALICE, BOB, CAROL)
CALLERS = (*PEOPLE, SERVICE)
CLINICS = (0, 1)
FREE_NAMES = ("view", "upload", "note", "follow")
ALL_NAMES = (*FREE_NAMES, "custodian", "admin")
PATIENT_NAMES = ("custodian", "view", "upload", "note")

Place = tuple[int, Somebody]

people = st.sampled_from(PEOPLE)
callers = st.sampled_from(CALLERS)
clinics = st.sampled_from(CLINICS)
roles = st.sampled_from((ADMIN, MEMBER, PRESCRIBER))
places = st.tuples(clinics, people)


ALL_PLACES = tuple(product(CLINICS, PEOPLE))


def names_of(names: tuple[str, ...]) -> st.SearchStrategy[Names]:
    return st.frozensets(st.sampled_from(names))


def often(*found: Any, among: Any) -> st.SearchStrategy[Any]:
    """Mostly one of `found`, so that something happens; sometimes any of `among`, so that what must not happen is tried."""
    return st.sampled_from((*found, *found, *found, *among))


def body_of(names: Names) -> dict[str, Any]:
    return {name: {} for name in names}


class AccessMachine(RuleBasedStateMachine):
    """Does the same to the model and to the service."""

    def __init__(self, api: Client, database: Database) -> None:
        super().__init__()
        self.api, self.database, self.model = api, database, AccessModel()
        self.clinic_ids: list[str] = []

    def teardown(self) -> None:
        clear(self.database)

    @initialize(
        staff=st.dictionaries(places, roles, min_size=2),
        patients=st.dictionaries(places, names_of(PATIENT_NAMES), min_size=3),
    )
    def begin(self, staff: dict[Place, str], patients: dict[Place, Names]) -> None:
        with storing(self.database) as unit:
            for person in PEOPLE:
                make_account(unit, person)
        self.clinic_ids = [self._open(clinic, founder) for clinic, founder in zip(CLINICS, PEOPLE, strict=False)]
        for (clinic, person), role in staff.items():
            self.hire_or_give_another_role(clinic, person, role)
        for (clinic, person), names in patients.items():
            self.enrol(clinic, person, names)

    def _open(self, clinic: int, founder: Somebody) -> str:
        body = {"name": "Harbour", "preferredBgUnits": "mg/dL"}
        reply = self.api.post("/v1/clinics", as_=founder, json=body)
        assert reply.status == 200
        self.model.staff[clinic, founder] = ADMIN
        return str(reply.json["id"])

    def _clinic(self, clinic: int) -> str:
        return f"/v1/clinics/{self.clinic_ids[clinic]}"

    def _patient(self, clinic: int, person: Somebody) -> str:
        return f"{self._clinic(clinic)}/patients/{person.id}"

    @precondition(lambda self: len(self.model.patients) < 4)
    @rule(clinic=clinics, caller=callers, founder=people)
    def close_clinic_and_open_another(self, clinic: int, caller: Somebody, founder: Somebody) -> None:
        status = self.api.delete(self._clinic(clinic), as_=caller).status
        if caller != SERVICE and not self.model.is_admin(clinic, caller):
            assert status == 403
        elif any(where == clinic for where, _ in self.model.patients):
            assert status == 400
        else:
            assert status == 204
            self.model.staff = {key: role for key, role in self.model.staff.items() if key[0] != clinic}
            self.clinic_ids[clinic] = self._open(clinic, founder)

    @rule(caller=callers, sharer=people, grantee=people, wanted=names_of(ALL_NAMES))
    def write_grant(self, caller: Somebody, sharer: Somebody, grantee: Somebody, wanted: Names) -> None:
        reply = self.api.post(f"/access/{sharer.id}/{grantee.id}", as_=caller, json=body_of(wanted))
        if not self.model.may_write(caller, sharer, grantee, wanted):
            assert reply.status == 403
            return
        assert reply.status == 200
        if sharer != grantee:
            self.model.grants[sharer, grantee] = wanted
        assert frozenset(reply.json or ()) == self.model.effective(sharer, grantee)

    @rule(clinic=clinics, person=people, role=roles)
    def hire_or_give_another_role(self, clinic: int, person: Somebody, role: str) -> None:
        path, body = f"{self._clinic(clinic)}/clinicians", {"email": person.email, "roles": [role]}
        if (clinic, person) not in self.model.staff:
            assert self.api.post(path, as_=SERVICE, json={**body, "id": person.id}).status == 200
        else:
            status = self.api.put(f"{path}/{person.id}", as_=SERVICE, json=body).status
            if role != ADMIN and self.model.guards_alone(clinic, person):
                assert status == 422
                return
            assert status == 200
        self.model.staff[clinic, person] = role

    @rule(data=st.data())
    def dismiss(self, data: st.DataObject) -> None:
        clinic, person = data.draw(often(*self.model.staff, among=ALL_PLACES))
        caller = data.draw(often(SERVICE, person, among=CALLERS))
        status = self.api.delete(f"{self._clinic(clinic)}/clinicians/{person.id}", as_=caller).status
        leaves = caller == person and self.model.is_member(clinic, person)
        if not (caller == SERVICE or self.model.is_admin(clinic, caller) or leaves):
            assert status == 403
        elif (clinic, person) not in self.model.staff:
            assert status == 404
        elif self.model.guards_alone(clinic, person):
            assert status == 422
        else:
            assert status == 200
            del self.model.staff[clinic, person]

    @rule(clinic=clinics, person=people, names=names_of(PATIENT_NAMES))
    def enrol(self, clinic: int, person: Somebody, names: Names) -> None:
        reply = self.api.post(self._patient(clinic, person), as_=SERVICE, json={"permissions": body_of(names)})
        if (clinic, person) in self.model.patients:
            assert reply.status == 409
        else:
            assert reply.status == 200
            # Who is enrolled without permissions stays.
            self.model.patients[clinic, person] = names

    @rule(data=st.data(), names=names_of(PATIENT_NAMES))
    def replace_permissions(self, data: st.DataObject, names: Names) -> None:
        clinic, person = self._some_patient(data)
        caller = data.draw(often(person, among=CALLERS))
        path, left = f"{self._patient(clinic, person)}/permissions", names - {"custodian"}
        reply = self.api.put(path, as_=caller, json=body_of(names))
        if caller != person:
            assert reply.status == 403
        elif (clinic, person) not in self.model.patients:
            assert reply.status == 404
        else:
            assert (reply.status, frozenset(reply.json or ())) == (200 if left else 204, left)
            self.model.let_grant(clinic, person, left)

    @rule(data=st.data())
    def withdraw_permission(self, data: st.DataObject) -> None:
        clinic, person = self._some_patient(data)
        held = self.model.patients.get((clinic, person), NONE)
        name = data.draw(often(*held, among=PATIENT_NAMES))
        self._withdraw(clinic, person, name, data.draw(often(person, among=CALLERS)))

    def _withdraw(self, clinic: int, person: Somebody, name: str, caller: Somebody) -> None:
        status = self.api.delete(f"{self._patient(clinic, person)}/permissions/{name}", as_=caller).status
        held = self.model.patients.get((clinic, person), NONE)
        if caller != person and not (caller == SERVICE and name == "custodian"):
            assert status == 403
        elif name not in held:
            assert status == 404
        else:
            assert status == 204
            self.model.let_grant(clinic, person, held - {name})

    @rule(data=st.data())
    def claim_the_account(self, data: st.DataObject) -> None:
        custodial = [place for place, names in self.model.patients.items() if "custodian" in names]
        clinic, person = data.draw(often(*custodial, among=ALL_PLACES))
        self._withdraw(clinic, person, "custodian", SERVICE)

    @rule(data=st.data())
    def withdraw_all_one_after_the_other(self, data: st.DataObject) -> None:
        """Down to the last permission, with which the patient leaves."""
        clinic, person = self._some_patient(data)
        for name in PATIENT_NAMES:
            self._withdraw(clinic, person, name, person)

    @rule(data=st.data())
    def remove_patient(self, data: st.DataObject) -> None:
        clinic, person = self._some_patient(data)
        caller = data.draw(often(person, *self.model.admins(clinic), among=CALLERS))
        status = self.api.delete(self._patient(clinic, person), as_=caller).status
        if not (caller == person or self.model.is_admin(clinic, caller)):
            assert status == 403
        elif (clinic, person) not in self.model.patients:
            assert status == 404
        else:
            assert status == 204
            del self.model.patients[clinic, person]

    def _some_patient(self, data: st.DataObject) -> Place:
        place: Place = data.draw(often(*self.model.patients, among=ALL_PLACES))
        return place

    # Not at once again, since what follows would find nobody.
    @precondition(lambda self: len(self.model.patients) > 2)
    @rule(person=people)
    def delete_user(self, person: Somebody) -> None:
        assert self.api.delete(f"/v1/users/{person.id}/clinics", as_=SERVICE).status == 200
        self.model.delete_user(person)

    @rule(caller=people, sharer=people, grantee=people)
    def ask_in_the_name_of_a_person(self, caller: Somebody, sharer: Somebody, grantee: Somebody) -> None:
        held = self.model.effective(sharer, caller)
        one = self.api.get(f"/access/{sharer.id}/{grantee.id}", as_=caller).status
        if caller in (sharer, grantee) or held & MANAGING:
            assert one == (200 if self.model.effective(sharer, grantee) else 404)
        else:
            assert one == 403
        for path in (f"/access/{sharer.id}", f"/access/groups/{sharer.id}"):
            expected = 200 if caller == sharer or "custodian" in held else 403
            assert self.api.get(path, as_=caller).status == expected

    def _ask(self, path: str, as_: Somebody = SERVICE) -> Reply:
        reply = self.api.get(path, as_=as_)
        assert reply.status in (200, 404)
        return reply

    @invariant()
    def effective_permissions_agree(self) -> None:
        for sharer, grantee in product(PEOPLE, repeat=2):
            reply, held = self._ask(f"/access/{sharer.id}/{grantee.id}"), self.model.effective(sharer, grantee)
            assert (frozenset(reply.json) if reply.status == 200 else NONE) == held

    @invariant()
    def lists_of_grants_agree(self) -> None:
        for person in PEOPLE:
            given = {g.id: names for (s, g), names in self.model.grants.items() if s == person and names}
            received = {s.id: names for (s, g), names in self.model.grants.items() if g == person and names}
            for path, expected in ((f"/access/{person.id}", given), (f"/access/groups/{person.id}", received)):
                listed = {user_id: frozenset(names) for user_id, names in self._ask(path).json.items()}
                assert listed == {person.id: ROOT, **expected}

    @invariant()
    def records_of_patients_agree(self) -> None:
        for clinic, person in product(CLINICS, PEOPLE):
            reply = self._ask(self._patient(clinic, person))
            shown = frozenset(reply.json["permissions"]) if reply.status == 200 else None
            assert shown == self.model.patients.get((clinic, person))

    @invariant()
    def lists_of_clinics_agree(self) -> None:
        for person in PEOPLE:
            listed = self._ask(f"/v1/patients/{person.id}/clinics", person).json
            shown = {one["clinic"]["id"]: frozenset(one["patient"]["permissions"]) for one in listed}
            mine = {self.clinic_ids[c]: names for (c, who), names in self.model.patients.items() if who == person}
            assert shown == mine


def test_all_views_of_access_agree_with_plain_sets(api: Client, database: Database) -> None:
    class Machine(AccessMachine):
        def __init__(self) -> None:
            super().__init__(api, database)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=rounds(5),
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
