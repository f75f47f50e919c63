"""Whatever a directory of accounts says, no operation that asks it fails, and all that is shown afterwards fits the spec.

Answers are checked against the spec in enforce mode, so one that does not fit is a 500.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from clinic_service.api.operations import find_handlers
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.server_token import SESSION_HEADER
from clinic_service.models import AccountEmail, EmbeddedAccount
from clinic_service.specification.apis import load_apis
from clinic_service.texts import storable
from tests.conftest import SECRET
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.databases import clear
from tests.support.http_server import HttpServer, Received, Response, http_server
from tests.support.invites import make_offer, make_pending
from tests.support.rounds import rounds
from tests.support.rows import (
    COMPLETE_CLINIC,
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_staffed_clinic,
    share_code,
    storing,
)

PEOPLE = (ALICE, BOB, CAROL, DAVE, ERIN, PETE, MALLORY)
# These prepare something, and ask no directory of accounts.
OTHER_PREPARATIONS = {"AddServiceAccount", "DeletePatientPermission", "ViewPDFReport", "XealthGetProgramUrl"}
# These ask one, and need a clinic that is connected to Xealth: see `tests/api/ehr`.
OTHER_PREPARATIONS |= {"XealthPreorder", "XealthNotification"}

# What has been seen in the field, and made an answer break the spec or a statement fail.
HOSTILE: tuple[Any, ...] = (
    "N" * 300,
    "\U0001f600" * 300,
    "Carol\x00",
    "Carol\ud800",
    "a@b@c",
    "a" * 250 + "@mail.example",
    # Its lower case is longer than it is.
    "\u0130" * 130 + "@mail.example",
    "",
    7,
    ["a"],
    {"a": None},
)
_TEXTS = st.text(st.characters(codec=None, categories=None), max_size=20)
_ADDRESSES = _TEXTS | st.sampled_from(["a@b", "A@B.example", "carol@mail.example"])
_DAYS = _TEXTS | st.dates().map(str) | st.sampled_from(["0000-01-01", "0001-01-01", "1987-02-30"])
_OTHER_TYPES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.lists(_TEXTS)


def _members(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects in which each member is as it should be, or hostile, or of another type, or absent."""
    any_of = {name: one | st.sampled_from(HOSTILE) | _OTHER_TYPES for name, one in strategies.items()}
    return st.fixed_dictionaries({}, optional=any_of)


ACCOUNTS = _members(username=_ADDRESSES, emails=st.lists(_ADDRESSES | _OTHER_TYPES), createdTime=_DAYS)
PATIENTS = _members(
    fullName=_TEXTS,
    birthday=_DAYS,
    mrn=_TEXTS,
    targetDevices=st.lists(_TEXTS | _OTHER_TYPES),
    diagnosisDate=_DAYS,
    isOtherPerson=st.booleans(),
)
PROFILES = _members(fullName=_TEXTS, patient=PATIENTS)
_PATIENT_MEMBERS = ("fullName", "birthday", "mrn", "diagnosisDate", "isOtherPerson")


def _account(value: Any) -> dict[str, Any]:
    """An account that has the value everywhere."""
    return {"username": value, "emails": [value, "carol@mail.example"], "createdTime": value}


def _profile(value: Any) -> dict[str, Any]:
    """A profile that has the value everywhere."""
    return {"fullName": value, "patient": dict.fromkeys(_PATIENT_MEMBERS, value) | {"targetDevices": [value] * 101}}


EXAMPLES = settings(
    max_examples=rounds(4),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
Test = Callable[..., None]


def with_examples(*arguments: tuple[Any, ...]) -> Callable[[Test], Test]:
    """Tries these arguments as well, each time."""

    def add(test: Test) -> Test:
        for given_ones in arguments:
            test = example(*given_ones)(test)
        return test

    return add


class Clinics:
    """Asks for everything that rests on what a directory said."""

    def __init__(self, api: Client, database: Database) -> None:
        self.api, self.database = api, database
        self.asked: set[str] = set()

    def ask(self, operation_id: str, method: str, path: str, as_: Somebody, *, ok: bool = True, **rest: Any) -> Reply:
        """One request; `ok` says that nothing the directory says may stand in its way."""
        self.asked.add(operation_id)
        reply = self.api.request(method, path, as_=as_, **rest)
        assert reply.status < (300 if ok else 500), (operation_id, reply)
        return reply

    def make_and_show_all(self) -> None:
        clinic_ids = [self._create_clinic(), self._enable_clinic(), self._migrate(), *self._staffed()]
        for clinic_id in clinic_ids:
            self._show(clinic_id)
        for person in PEOPLE:
            self._show_person(person)
        self.ask("ListAllClinicians", "GET", "/v1/clinicians", SERVICE)
        self.ask("ListClinics", "GET", "/v1/clinics?limit=100", SERVICE)
        self.ask("FindPatients", "GET", "/v1/patients?limit=100", BOB)
        for person in PEOPLE:
            self.ask("DeleteUserFromClinics", "DELETE", f"/v1/users/{person.id}/clinics", SERVICE)

    def _create_clinic(self) -> str:
        body = {"name": "Harbour", "preferredBgUnits": "mg/dL"}
        return str(self.ask("CreateClinic", "POST", "/v1/clinics", MALLORY, json=body).json["id"])

    def _enable_clinic(self) -> str:
        reply = self.ask("EnableNewClinicExperience", "POST", f"/v1/clinicians/{ERIN.id}/migrate", SERVICE)
        return str(reply.json["id"])

    def _migrate(self) -> str:
        with storing(self.database) as unit:
            clinic = make_clinic(unit, **COMPLETE_CLINIC, is_migrated=False)
            make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        self.ask("TriggerInitialMigration", "POST", f"/v1/clinics/{clinic.id}/migrate", ALICE, json={})
        return str(clinic.id)

    def _staffed(self) -> Iterator[str]:
        with storing(self.database) as unit:
            clinic = make_staffed_clinic(unit)
            to_associate = make_pending(unit, clinic, CAROL, email="one@mail.example")
            to_accept = make_pending(unit, clinic, ERIN, email="two@mail.example", user_id=ERIN.id)
            to_dismiss = make_pending(unit, clinic, PETE, email="three@mail.example", user_id=PETE.id)
            offers = [make_offer(unit, clinic, person, expires_at=None) for person in (ERIN, PETE)]
        path = f"/v1/clinics/{clinic.id}"
        self._invite(path, to_associate)
        self._answer(to_accept, to_dismiss)
        self._enrol(path)
        self._offer(path, clinic.id, *offers)
        yield clinic.id

    def _invite(self, path: str, to_associate: str) -> None:
        body = {"email": "new@mail.example", "roles": ["CLINIC_MEMBER"]}
        key = self.ask("InviteClinician", "POST", f"{path}/invites/clinicians", ALICE, json=body).json["inviteId"]
        self.ask("GetClinicianInvite", "GET", f"{path}/invites/clinicians/{key}", ALICE)
        self.ask("ResendInvite", "PATCH", f"{path}/invites/clinicians/{key}", ALICE)
        pending = f"{path}/invites/clinicians/{to_associate}/clinician"
        self.ask("AssociateClinicianToUser", "PATCH", pending, SERVICE, json={"userId": CAROL.id})

    def _answer(self, to_accept: str, to_dismiss: str) -> None:
        for person in (ERIN, PETE):
            # Somebody who has an address of theirs may be invited by it as well.
            self.ask("ListClinicianInvites", "GET", f"/v1/clinicians/{person.id}/invites", person)
        self.ask("AcceptClinicianInvite", "PUT", f"/v1/clinicians/{ERIN.id}/invites/{to_accept}", ERIN)
        self.ask("DismissClinicianInvite", "DELETE", f"/v1/clinicians/{PETE.id}/invites/{to_dismiss}", PETE)

    def _enrol(self, path: str) -> None:
        self.ask("CreatePatientFromUser", "POST", f"{path}/patients/{CAROL.id}", SERVICE, json={})
        body = {"fullName": "Gina Green", "birthDate": "1987-04-12", "email": "gina@mail.example"}
        made = self.ask("CreatePatientAccount", "POST", f"{path}/patients", BOB, json=body)
        changed = body | {"email": "other@mail.example"}
        self.ask("UpdatePatient", "PUT", f"{path}/patients/{made.json['id']}", BOB, json=changed)

    def _offer(self, path: str, clinic_id: str, to_accept: str, to_delete: str) -> None:
        body = {"shareCode": share_code(clinic_id), "permissions": {"view": {}}}
        self.ask("InviteClinic", "POST", f"/confirm/send/invite/{DAVE.id}/clinic", DAVE, json=body)
        self.ask("GetPatientInvites", "GET", f"{path}/invites/patients", BOB)
        # The clinic of this person has their number already, when all have the same one.
        self.ask("AcceptPatientInvitation", "PUT", f"{path}/invites/patients/{to_accept}", BOB, json={})
        self.ask("DeletePatientInvite", "DELETE", f"{path}/invites/patients/{to_delete}", BOB)

    def _show(self, clinic_id: str) -> None:
        path = f"/v1/clinics/{clinic_id}"
        for clinician in self.ask("ListClinicians", "GET", f"{path}/clinicians?limit=100", SERVICE).json:
            if "id" in clinician:
                self.ask("GetClinician", "GET", f"{path}/clinicians/{clinician['id']}", SERVICE)
        for patient in self.ask("ListPatients", "GET", f"{path}/patients?limit=100", SERVICE).json["data"]:
            self.ask("GetPatient", "GET", f"{path}/patients/{patient['id']}", SERVICE)

    def _show_person(self, person: Somebody) -> None:
        self.ask("ListClinicsForClinician", "GET", f"/v1/clinicians/{person.id}/clinics?limit=100", SERVICE)
        self.ask("ListClinicsForPatient", "GET", f"/v1/patients/{person.id}/clinics?limit=100", SERVICE)


def config_of(**values: Any) -> Config:
    return Config(session_secret=SECRET, demo_patient_user_id=DAVE.id, **values)


@pytest.fixture
def telling(database: Database) -> Iterator[tuple[Clinics, Callable[[Any, Any], None]]]:
    """Clinics whose accounts another system keeps, and how to let it say something of everybody."""
    with http_server(lambda _: Response(404)) as server:
        urls = {"accounts_url": server.url, "profiles_url": f"{server.url}/metadata"}
        config = config_of(**urls, accounts_server_name="clinic", accounts_server_secret="a secret")
        yield Clinics(Client(create_app(config, database), SECRET), database), lambda *told: tell(server, *told)


def tell(server: HttpServer, account: dict[str, Any], profile: dict[str, Any]) -> None:
    made = iter(f"{number:010x}" for number in range(100))

    def answer(received: Received) -> Response:
        name = received.path.rpartition("/")[2]
        if received.path == "/serverlogin":
            return Response(200, headers={SESSION_HEADER: "a token"})
        if received.path.endswith("/profile"):
            return Response(200, body=json.dumps(profile).encode())
        if received.method == "GET" and "%40" in name:
            return Response(404)
        user_id = next(made) if received.method == "POST" else name
        roles = {"roles": ["clinic", 7, "\x00"]}
        document = roles | account | {"userid": user_id}
        return Response(201 if received.method == "POST" else 200, body=json.dumps(document).encode())

    server.answer = answer


def preparing() -> set[str]:
    """The operations that do something before their transaction, apart from those that ask no directory of accounts."""
    operations = [operation for api in load_apis() for operation in api.operations]
    return {name for name, handler in find_handlers(iter(operations)).items() if handler.phases} - OTHER_PREPARATIONS


def test_another_systems_accounts_and_profiles(
    database: Database, telling: tuple[Clinics, Callable[[Any, Any], None]]
) -> None:
    clinics, tell_all = telling

    @EXAMPLES
    @with_examples(*((_account(value), _profile(value)) for value in HOSTILE))
    @given(ACCOUNTS, PROFILES)
    def run(account: dict[str, Any], profile: dict[str, Any]) -> None:
        clear(database)
        tell_all(account, profile)
        clinics.make_and_show_all()

    run()
    assert preparing() <= clinics.asked


def test_accounts_of_the_embedded_directory(database: Database) -> None:
    """Rows that an older version, or somebody by hand, has put there."""
    clinics = Clinics(Client(create_app(config_of(), database), SECRET), database)

    texts = [value for value in HOSTILE if isinstance(value, str)]

    @EXAMPLES
    @with_examples(*((text, [text], _profile(text)["patient"]) for text in texts))
    @given(st.none() | _TEXTS, st.lists(_ADDRESSES, max_size=3), st.none() | PATIENTS)
    def run(full_name: str | None, emails: list[str], patient: Any) -> None:
        clear(database)
        put(database, full_name, emails, as_stored(patient))
        clinics.make_and_show_all()

    run()


def as_stored(value: Any) -> Any:
    """JSON as a database can hold it."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): as_stored(item) for key, item in value.items()}
    return None if isinstance(value, float) else value


def put(database: Database, full_name: str | None, emails: list[str], patient: Any) -> None:
    """Everybody has the same name and profile, and addresses that differ in their beginning."""
    with storing(database) as unit:
        for person in PEOPLE:
            told = list(dict.fromkeys(storable(f"{person.id}{email}") for email in emails))
            account = EmbeddedAccount(
                user_id=person.id,
                username=told[0] if told else None,
                full_name=as_stored(full_name),
                roles=["clinic"],
                patient_profile=patient,
                created_time=LONG_AGO,
                updated_time=LONG_AGO,
            )
            unit.session.add(account)
            unit.flush()
            for position, email in enumerate(told):
                unit.session.add(AccountEmail(email=email, user_id=person.id, position=position))
