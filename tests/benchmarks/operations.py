"""The three operations that are measured, as raw requests, and the check that all servers answer them alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from typing import Any, NamedTuple

import orjson

from tests.benchmarks.load import exchange
from tests.benchmarks.seed import Scene, newcomers

# Made up by the server.
_OF_THE_SERVER = ("createdTime", "updatedTime")


class Operation(NamedTuple):
    """`requests` never ends; none of its requests comes twice where that matters."""

    name: str
    requests: Iterator[bytes]


class ServersDiffer(Exception):
    """Two servers do not do the same, so comparing what it costs means nothing."""


def operations(scene: Scene) -> list[Operation]:
    """One patient by id and a page of 50 members, asked for by a member; a new member, added by a service."""
    patients = [
        _get(f"/v1/clinics/{scene.clinic_id}/patients/{user}", scene.member_token) for user in scene.patient_ids
    ]
    return [
        Operation("one patient by id", cycle(patients)),
        Operation("page of 50", cycle([page_of_50(scene)])),
        Operation("create", _creations(scene)),
    ]


def _creations(scene: Scene) -> Iterator[bytes]:
    for body in newcomers():
        yield _post(f"/v1/clinics/{scene.clinic_to_fill}/clinicians", scene.service_token, body)


def compressed_pages(scene: Scene) -> list[Operation]:
    """The page of 50 members in each encoding that the server has."""
    page = page_of_50(scene)
    return [Operation(f"page of 50, {encoding}", cycle([encoded(page, encoding)])) for encoding in ("zstd", "gzip")]


def page_of_50(scene: Scene) -> bytes:
    """The request of a member for a page of 50 members."""
    return _get(f"/v1/clinics/{scene.clinic_id}/clinicians?limit=50", scene.member_token)


def encoded(request: bytes, encoding: str) -> bytes:
    """The same request of a client that accepts `encoding`."""
    return request[:-2] + f"Accept-Encoding: {encoding}\r\n\r\n".encode()


def _get(address: str, token: str | None) -> bytes:
    return _head("GET", address, token) + b"\r\n"


def _post(address: str, token: str | None, body: bytes) -> bytes:
    head = _head("POST", address, token)
    return b"%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def _head(method: str, address: str, token: str | None) -> bytes:
    signed = f"X-Tidepool-Session-Token: {token}\r\n" if token else ""
    return f"{method} {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n{signed}".encode()


def require_alike(ports: Mapping[str, int], scene: Scene) -> None:
    """Raise ServersDiffer unless all servers answer alike what they grant, and all refuse what must be refused."""
    for user in scene.patient_ids:
        _require_equal(ports, _get(f"/v1/clinics/{scene.clinic_id}/patients/{user}", scene.member_token))
    for query in ("?limit=50", "", "?limit=1000&offset=3"):
        _require_equal(ports, _get(f"/v1/clinics/{scene.clinic_id}/clinicians{query}", scene.member_token))
    _require_created_alike(ports, scene)
    for request in _refused(scene):
        for name, port in ports.items():
            status, _ = exchange(port, request)
            if not 400 <= status < 500:
                raise ServersDiffer(f"{name} answers {status} to a request it must refuse: {request[:80]!r}")


def _require_equal(ports: Mapping[str, int], request: bytes) -> None:
    answers = {name: exchange(port, request) for name, port in ports.items()}
    _compare({name: (status, orjson.loads(body)) for name, (status, body) in answers.items()})


def _compare(answers: Mapping[str, Any]) -> None:
    (first, expected), *others = answers.items()
    if expected[0] != 200:
        raise ServersDiffer(f"{first} answers {expected}")
    for name, answer in others:
        if answer != expected:
            raise ServersDiffer(f"{name} answers {answer}, {first} answers {expected}")


def _require_created_alike(ports: Mapping[str, int], scene: Scene) -> None:
    """The answers are equal but for the times; ids and addresses follow the body, so the bodies are told apart by them."""
    answers = {}
    for number, (name, port) in enumerate(ports.items()):
        body = {"id": f"f{number:09x}", "email": f"First.{number}@harbour.example", "roles": ["PRESCRIBER"]}
        request = _post(f"/v1/clinics/{scene.clinic_to_fill}/clinicians", scene.service_token, orjson.dumps(body))
        status, text = exchange(port, request)
        answer = orjson.loads(text)
        for key in _OF_THE_SERVER:
            answer[key] = len(answer[key])
        answer["id"] = answer["id"].replace(f"{number:09x}", "…")
        answer["email"] = answer["email"].replace(str(number), "…")
        answers[name] = (status, answer)
        if exchange(port, request)[0] != 409:
            raise ServersDiffer(f"{name} takes a second member with the same address")
    _compare(answers)


def _refused(scene: Scene) -> Iterable[bytes]:
    patient, members = f"/v1/clinics/{scene.clinic_id}/patients/", f"/v1/clinics/{scene.clinic_to_fill}/clinicians"
    valid = b'{"email":"somebody@harbour.example","roles":["CLINIC_MEMBER"]}'
    yield _get(patient + scene.patient_ids[0], None)
    yield _get(patient + scene.patient_ids[0], scene.member_token[:-6] + "AAAAAA")
    yield _get(patient + scene.patient_ids[0], scene.stranger_token)
    yield _get(patient + "not-an-id", scene.member_token)
    yield _get(patient + "ffffffffff", scene.member_token)
    yield _get(members + "?limit=50", scene.stranger_token)
    yield _get(f"/v1/clinics/{scene.clinic_id}/clinicians?limit=0", scene.member_token)
    yield _get(f"/v1/clinics/{scene.clinic_id}/clinicians?limit=x", scene.member_token)
    yield _post(members, scene.member_token, valid)
    yield _post(members, None, valid)
    for body in (
        b"{",
        b'{"email":"somebody@harbour.example"}',
        b'{"email":"nobody","roles":["CLINIC_MEMBER"]}',
        b'{"email":"somebody@harbour.example","roles":["OWNER"]}',
        b'{"email":"somebody@harbour.example","roles":["PRESCRIBER","PRESCRIBER"]}',
    ):
        yield _post(members, scene.service_token, body)
    yield _post("/v1/clinics/ffffffffffffffffffffffff/clinicians", scene.service_token, valid)
