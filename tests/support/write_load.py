"""Clients that write as fast as they can while something fails, and what must be stored afterwards.

Each client has a clinic of its own, in which it adds patients and renames the first one, and a second clinic in which it
gives a tag to all patients or takes it from all. It also creates clinics. It notes what was acknowledged.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.client import HTTPException
from random import Random
from typing import Any

from sqlalchemy import func, select

from clinic_service.audit.trail import verify_rows
from clinic_service.db.engine import Database
from clinic_service.models import AuditEntry, Clinic, OutboxEntry, Patient, PatientTag, ShareCode
from clinic_service.resources.summaries.reconcile import compare
from clinic_service.unit_of_work import reading
from tests.support.cast import ALICE, SERVICE, Somebody
from tests.support.processes import Answer
from tests.support.tokens import token_of

CLIENTS = 4
_TAGGED = 12
# Clinics in the United States have a limit of patients.
_NEW_CLINIC = {"name": "Harbour Diabetes Centre", "preferredBgUnits": "mg/dL", "country": "CA"}
Send = Callable[..., Answer]


@dataclass
class _Client:
    """What one client has written. `sent` is beyond `acknowledged` while a request has no answer."""

    send: Send
    clinic: str = ""
    patient: str = ""
    tagged_clinic: str = ""
    tag: str = ""
    requests: list[str] = field(default_factory=list)
    clinics: list[str] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    name_sent: int = 0
    name_acknowledged: int = 0
    # Whether all patients of the second clinic carry the tag; None when no answer told.
    is_tagged: bool | None = False

    def prepare(self) -> None:
        self.clinic, self.tagged_clinic = (self._must("POST", "/v1/clinics", ALICE, _NEW_CLINIC)["id"] for _ in "ab")
        self.clinics += [self.clinic, self.tagged_clinic]
        self.patient = self._must("POST", f"/v1/clinics/{self.clinic}/patients", SERVICE, _patient("Name 0"))["id"]
        self.patients.append(self.patient)
        for number in range(_TAGGED):
            body = _patient(f"Tagged {number}")
            added = self._must("POST", f"/v1/clinics/{self.tagged_clinic}/patients", SERVICE, body)
            self.patients.append(added["id"])
        path = f"/v1/clinics/{self.tagged_clinic}/patient_tags"
        self.tag = self._must("POST", path, SERVICE, {"name": "tag"})["id"]

    def _must(self, *request: Any) -> Any:
        answer = self._request(*request)
        assert answer is not None
        return answer.json

    def write(self, kind: int) -> None:
        """Send one request of the kind, and note its acknowledgement."""
        (self._create_clinic, self._add_patient, self._rename, self._tag_all)[kind]()

    def _create_clinic(self) -> None:
        answer = self._request("POST", "/v1/clinics", ALICE, _NEW_CLINIC)
        if answer:
            self.clinics.append(answer.json["id"])

    def _add_patient(self) -> None:
        answer = self._request("POST", f"/v1/clinics/{self.clinic}/patients", SERVICE, _patient("Added"))
        if answer:
            self.patients.append(answer.json["id"])

    def _rename(self) -> None:
        self.name_sent += 1
        path, body = f"/v1/clinics/{self.clinic}/patients/{self.patient}", _patient(f"Name {self.name_sent}")
        if self._request("PUT", path, SERVICE, body):
            self.name_acknowledged = self.name_sent

    def _tag_all(self) -> None:
        wanted = not self.is_tagged
        self.is_tagged = None
        action = "assign_tag" if wanted else "delete_tag"
        path = f"/v1/clinics/{self.tagged_clinic}/patients/{action}/{self.tag}"
        if self._request("POST", path, SERVICE):
            self.is_tagged = wanted

    def _request(self, method: str, path: str, who: Somebody, body: Any = ...) -> Answer | None:
        """The answer; None when there is none, or a refusal for the moment."""
        request = uuid.uuid4().hex
        try:
            answer = self.send(method, path, token_of(who), body, {"X-Request-Id": request})
        except (OSError, HTTPException):
            return None
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) > 0, (method, path, answer)
            return None
        assert answer.status in (200, 201, 204), (method, path, answer)
        self.requests.append(request)
        return answer


def _patient(name: str) -> dict[str, Any]:
    return {"fullName": name, "birthDate": "1987-04-12"}


class WriteLoad(AbstractContextManager["WriteLoad"]):
    """The clients, which write from the beginning to the end of the block."""

    def __init__(self, sends: Sequence[Send], random: Random) -> None:
        """`sends` send requests to the servers, over which the clients are spread."""
        self.clients = [_Client(send) for send, _ in zip(itertools.cycle(sends), range(CLIENTS), strict=False)]
        self._random = random
        self._stop = threading.Event()
        self._failures: list[BaseException] = []

    def __enter__(self) -> WriteLoad:
        for client in self.clients:
            client.prepare()
        seeds = [self._random.random() for _ in self.clients]
        self._threads = [
            threading.Thread(target=self._run, args=pair) for pair in zip(self.clients, seeds, strict=True)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures

    def _run(self, client: _Client, seed: float) -> None:
        random = Random(seed)
        try:
            while not self._stop.is_set():
                before = len(client.requests)
                client.write(random.randrange(4))
                if len(client.requests) == before:
                    self._stop.wait(0.02)
        except BaseException as failure:
            self._failures.append(failure)

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged writes."""
        return sum(len(client.requests) for client in self.clients)

    @property
    def clinics(self) -> set[str]:
        """The ids of the clinics whose creation was acknowledged so far."""
        return {clinic for client in self.clients for clinic in client.clinics}

    @property
    def patients(self) -> set[str]:
        """The user ids of the patients who were acknowledged so far."""
        return {patient for client in self.clients for patient in client.patients}

    def wait_for(self, number: int, seconds: float = 120) -> None:
        """Return when so many further writes are acknowledged."""
        goal, end = self.acknowledged + number, time.monotonic() + seconds
        while self.acknowledged < goal:
            assert not self._failures, self._failures
            assert time.monotonic() < end, "nothing is acknowledged"
            time.sleep(0.01)


def assert_stored(database: Database, load: WriteLoad) -> None:
    """Every acknowledged write is stored whole, with its record in the audit trail and its event. Nothing is half done."""
    with reading(database) as unit:

        def texts(column: Any, *where: Any) -> list[Any]:
            return [row[0] for row in unit.execute(select(column).where(*where))]

        clinics, patients = texts(Clinic.id), texts(Patient.user_id)
        users = {payload.get("userId") for payload in texts(OutboxEntry.payload, OutboxEntry.kind == "patient_added")}
        created = texts(OutboxEntry.clinic_id, OutboxEntry.kind == "clinic_created")
        requests, operations = set(texts(AuditEntry.request_id)), texts(AuditEntry.operation)
        # An effect without its rows, and rows without their effect, would be half of a transaction.
        assert sorted(clinics) == sorted(created) == sorted(texts(ShareCode.clinic_id))
        assert set(patients) == users
        assert (operations.count("CreateClinic"), operations.count("CreatePatientAccount")) == (
            len(clinics),
            len(patients),
        )
        for client in load.clients:
            assert set(client.requests) <= requests
            assert set(client.clinics) <= set(clinics)
            assert set(client.patients) <= set(patients)
            [name] = texts(Patient.full_name, Patient.user_id == client.patient)
            assert client.name_acknowledged <= int(name.removeprefix("Name ")) <= client.name_sent
            tagged = unit.execute(
                select(func.count()).select_from(PatientTag).where(PatientTag.clinic_id == client.tagged_clinic)
            ).scalar_one()
            assert tagged in ((0, _TAGGED) if client.is_tagged is None else (client.is_tagged * _TAGGED,))
        assert list(verify_rows(unit)) == []
    assert list(compare(database)) == []
