"""Notifications of Xealth that meet each other, or others who change the same patient, at two server processes.

In every order, none fails, a patient is created once, and no account is orphaned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from clinic_service.config import Config, variable
from clinic_service.models import (
    Clinic,
    EhrSubscription,
    EmbeddedAccount,
    OutboxEntry,
    Patient,
    PatientDeletion,
    Reservation,
    XealthOrder,
)
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, BOB
from tests.support.gates import wait_until
from tests.support.processes import Answer
from tests.support.races import Call, TwoServers, serving_pair
from tests.support.rounds import rounds
from tests.support.rows import stored, storing
from tests.support.xealth_server import XealthServer, xealth_server
from tests.support.xealth_site import (
    AUTHORIZED,
    BIRTH_DATE,
    PROGRAM,
    event,
    make_xealth_clinic,
    order,
)

ROUNDS = rounds(6)


class Arena(NamedTuple):
    servers: TwoServers
    xealth: XealthServer


@pytest.fixture(scope="module")
def arena(engine_name: str, request: pytest.FixtureRequest) -> Iterator[Arena]:
    with xealth_server() as xealth, serving_pair(engine_name, request, **variables(xealth)) as pair:
        yield Arena(pair, xealth)


def variables(xealth: XealthServer) -> dict[str, str]:
    """The settings of a server for which Xealth is switched on."""
    config, default = xealth.config(), Config()
    changed = {f.name: getattr(config, f.name) for f in fields(Config)}
    return {variable(name): str(value) for name, value in changed.items() if value != getattr(default, name)}


class Case:
    """A clinic with a deployment of its own, and one order for a patient who is still to be made."""

    def __init__(self, arena: Arena, number: int, **clinic: Any) -> None:
        self.arena, self.deployment, self.mrn = arena, f"deployment-{number}", f"MRN-{number}"
        self.email = f"carol{number}@mail.example"
        with storing(arena.servers.database) as unit:
            self.clinic_id = make_xealth_clinic(unit, ehr={"sourceId": self.deployment}, **clinic).id
            self.enter(unit)
        told = order(mrn=self.mrn, info={"deployment": self.deployment})
        arena.xealth.orders[self.deployment, told["orderInfo"]["orderId"]] = told

    def enter(self, unit: UnitOfWork) -> None:
        unit.xealth_orders.store_preorder(
            self.clinic_id,
            order()["preorder"]["dataTrackingId"],
            deployment=self.deployment,
            mrn=self.mrn,
            email=self.email,
            connect_abbott=False,
            connect_dexcom=True,
            guardian_first_name=None,
            guardian_last_name=None,
            tag_ids=[],
        )

    def notification(self, context: str = "new", **members: Any) -> Call:
        body = event(context, deployment=self.deployment, programId=PROGRAM, **members)
        return Call(None, "POST", "/v1/xealth/notification", body, AUTHORIZED)

    def creation(self, **members: Any) -> Call:
        body = {"fullName": "Carol Cooper", "birthDate": BIRTH_DATE, "mrn": self.mrn} | members
        return Call(BOB, "POST", f"/v1/clinics/{self.clinic_id}/patients", body)

    def rows(self, model: type[Any]) -> list[Any]:
        with storing(self.arena.servers.database) as unit:
            return list(unit.session.scalars(select(model).where(model.clinic_id == self.clinic_id)))


@pytest.fixture
def cases(arena: Arena, request: pytest.FixtureRequest) -> Iterator[list[Case]]:
    """One for each round; each test has others."""
    clinic: dict[str, Any] = getattr(request, "param", {})
    begin = len(stored(arena.servers.database, Clinic))
    yield [Case(arena, begin + number, **clinic) for number in range(ROUNDS)]
    assert_no_account_is_orphaned(arena)


def assert_no_account_is_orphaned(arena: Arena) -> None:
    """Each is a patient's, or was one's, or is about to be removed by a relay; and in the end nothing is under way."""
    database = arena.servers.database
    # A relay reserves the account that it removes.
    wait_until(lambda: not stored(database, Reservation))
    users: set[str | None] = {patient.user_id for patient in stored(database, Patient)}
    users |= {deletion.user_id for deletion in stored(database, PatientDeletion)}
    orphaned = {entry.payload["userId"] for entry in stored(database, OutboxEntry) if entry.kind == "account_orphaned"}
    assert {account.user_id for account in stored(database, EmbeddedAccount)} - users <= orphaned


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


UNIQUE = pytest.param({"mrn_unique": True, "mrn_required": True}, id="unique numbers")
ANY = pytest.param({}, id="any numbers")
ONE_PLACE = pytest.param({"patient_count_settings": {"hardLimit": {"plan": 1}}}, id="one place")


@pytest.mark.parametrize("cases", [UNIQUE, ANY], indirect=True)
@pytest.mark.parametrize("times", [2, 4])
def test_the_same_notification_several_times(arena: Arena, cases: list[Case], times: int) -> None:
    for case in cases:
        answers = arena.servers.race([case.notification()] * times)
        assert statuses(answers) == {200: times}
        [patient], [subscription] = case.rows(Patient), case.rows(EhrSubscription)
        assert (patient.mrn, patient.email, subscription.active) == (case.mrn, case.email, True)
        assert len(case.rows(XealthOrder)) == 1
        told = Counter(entry.kind for entry in case.rows(OutboxEntry))
        assert told == {"patient_added": 1, "request_dexcom_connect_custodial": 1}


@pytest.mark.parametrize("cases", [ONE_PLACE], indirect=True)
def test_the_same_notification_twice_where_there_is_one_place(arena: Arena, cases: list[Case]) -> None:
    for case in cases:
        answers = arena.servers.race([case.notification()] * 2)
        # One that comes while the place is reserved is told that there is none; it is sent again.
        assert set(statuses(answers)) <= {200, 402}
        assert arena.servers.by_turns([case.notification()])[0].status == 200
        assert len(case.rows(Patient)) == len(case.rows(XealthOrder)) == 1


@pytest.mark.parametrize("cases", [UNIQUE, ANY], indirect=True)
def test_a_notification_and_somebody_who_adds_the_same_patient(arena: Arena, cases: list[Case]) -> None:
    for case in cases:
        answers = arena.servers.race([case.notification(), case.creation()])
        assert answers[0].status == 200
        patients = case.rows(Patient)
        if answers[1].status == 200 and len(patients) == 1:
            # The record was there before the order had its effect.
            assert patients[0].user_id == answers[1].json["id"]
        elif answers[1].status == 400:
            assert [patient.email for patient in patients] == [case.email]
        else:
            assert len(patients) == 2
            with storing(arena.servers.database) as unit:
                assert not unit.clinics.get(case.clinic_id).mrn_unique
        assert [subscription.active for subscription in case.rows(EhrSubscription)] == [True]


@pytest.mark.parametrize("cases", [ANY], indirect=True)
def test_a_notification_and_somebody_who_wants_the_same_address(arena: Arena, cases: list[Case]) -> None:
    for case in cases:
        other = case.creation(mrn="another", email=case.email)
        answers = arena.servers.race([case.notification(), other])
        assert set(statuses(answers)) <= {200, 409}
        assert statuses(answers)[200] >= 1
        owners = [patient for patient in case.rows(Patient) if patient.email == case.email]
        assert len(owners) == 1


@pytest.mark.parametrize("cases", [ANY], indirect=True)
@pytest.mark.parametrize("later", [0, 1], ids=["same time", "canceled later"])
def test_an_order_that_is_new_and_canceled(arena: Arena, cases: list[Case], later: int) -> None:
    for case in cases:
        cancel = case.notification("cancel", eventTimeStamp=f"2026-03-02T09:29:0{later}.000Z")
        answers = arena.servers.race([case.notification(), cancel])
        assert statuses(answers) == {200: 2}
        patients, subscriptions = case.rows(Patient), case.rows(EhrSubscription)
        events = sorted(case.rows(XealthOrder), key=lambda row: (row.created_time, row.id))
        if later:
            # Whoever came first, it is canceled in the end.
            assert [subscription.active for subscription in subscriptions if subscription.active] == []
        else:
            # As the two events came.
            assert len(patients) == 1
            assert [s.active for s in subscriptions] == [events[-1].event_context == "new"]
        assert len(events) == 2


@pytest.mark.parametrize("cases", [ANY], indirect=True)
def test_a_notification_and_the_removal_of_the_patient(arena: Arena, cases: list[Case]) -> None:
    for case in cases:
        assert arena.servers.by_turns([case.notification()])[0].status == 200
        [patient] = case.rows(Patient)
        removal = Call(ALICE, "DELETE", f"/v1/clinics/{case.clinic_id}/patients/{patient.user_id}")
        answers = arena.servers.race([case.notification(eventId="another"), removal])
        assert [answer.status for answer in answers] == [200, 204]
        assert len(case.rows(EhrSubscription)) == len(case.rows(Patient)) <= 1


@pytest.mark.parametrize("cases", [ANY], indirect=True)
def test_an_input_that_comes_several_times(arena: Arena, cases: list[Case]) -> None:
    """A preorder and a notification that uses it."""
    for case in cases:
        given = order(mrn=case.mrn)
        body: dict[str, Any] = {"eventType": "preorder", "eventContext": "subsequent", "deployment": case.deployment}
        body |= {name: given[name] for name in ("patientIdentity", "datasets")}
        entered = {"patient": {"email": f"new{case.mrn}@mail.example"}}
        body["formData"] = {"dataTrackingId": given["preorder"]["dataTrackingId"], "userInput": entered}
        preorder = Call(None, "POST", "/v1/xealth/preorder", body, AUTHORIZED)
        answers = arena.servers.race([preorder, case.notification(), preorder])
        assert statuses(answers) == {200: 3}
        [patient] = case.rows(Patient)
        assert patient.email in (case.email, f"new{case.mrn}@mail.example".lower())
