"""A test file of a program that calls the server, as its developers would write it. `test_plugin.py` runs it."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from clinic_service.testing import ClinicMock, ClinicServer, DemoCaller


def call(caller: DemoCaller | ClinicMock, method: str, url: str, body: Any = None) -> tuple[int, Any]:
    """The status and the JSON of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        headers = {**caller.headers, "Content-Type": "application/json"}
        connection.request(method, parts.path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def test_the_callers_have_their_roles(clinic_server: ClinicServer) -> None:
    server = clinic_server
    clinic = f"{server.url}/v1/clinics/{server.clinic_id}"
    carol = f"{clinic}/patients/{server.patient.id}"
    seen = {
        "admin": call(server.admin, "DELETE", f"{clinic}/sites/{server.site_ids['North Wing']}")[0],
        "member": call(server.member, "DELETE", f"{clinic}/sites/{server.site_ids['City Clinic']}")[0],
        "member who reads": call(server.member, "GET", carol)[0],
        "patient": call(server.patient, "GET", f"{server.url}/v1/patients/{server.patient.id}/clinics")[0],
        "parent": call(server.parent, "GET", f"{server.url}/access/{server.patient.id}/{server.parent.id}")[0],
        "outsider": call(server.outsider, "GET", carol)[0],
        "outsider about himself": call(server.outsider, "GET", f"{server.url}/access/groups/{server.outsider.id}")[0],
        "service": call(server.service, "GET", f"{server.url}/v1/clinics/share_code/{server.share_code}")[1]["id"],
        "unnamed": call(DemoCaller("", "", "", "none"), "GET", carol)[0],
    }
    assert seen == {
        "admin": 204,
        "member": 403,
        "member who reads": 200,
        "patient": 200,
        "parent": 200,
        "outsider": 403,
        "outsider about himself": 200,
        "service": server.clinic_id,
        "unnamed": 401,
    }


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_starts_with_the_same_data(clinic_server: ClinicServer, number: int) -> None:
    server = clinic_server
    clinic = f"{server.url}/v1/clinics/{server.clinic_id}"
    assert len(set(server.patient_ids)) == 40
    for patient in (server.patient.id, server.patient_ids[number], server.patient_ids[-number]):
        assert call(server.admin, "DELETE", f"{clinic}/patients/{patient}")[0] == 204
    assert call(server.admin, "DELETE", f"{clinic}/patient_tags/{server.tag_ids['Pump']}")[0] == 204
    assert call(server.admin, "POST", f"{clinic}/sites", {"name": "Harbour"})[0] == 200


def test_a_reset_within_a_test(clinic_server: ClinicServer) -> None:
    server = clinic_server
    carol = f"{server.url}/v1/clinics/{server.clinic_id}/patients/{server.patient.id}"
    assert call(server.admin, "DELETE", carol)[0] == 204
    assert call(server.member, "GET", carol)[0] == 404
    server.reset()
    assert call(server.member, "GET", carol)[1]["fullName"] == server.patient.name


def test_the_mock(clinic_mock: ClinicMock) -> None:
    status, clinic = call(clinic_mock, "GET", f"{clinic_mock.url}/v1/clinics/65f1c0de0a1b2c3d4e5f6a7b")
    assert (status, clinic["name"]) == (200, "Harbour Diabetes Centre")


def test_tokens_are_not_shown(clinic_server: ClinicServer) -> None:
    assert clinic_server.admin.token not in repr(clinic_server)
