"""Entity tags, If-Match and If-None-Match: of every operation that the spec gives them to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from werkzeug.datastructures import ETags
from werkzeug.http import parse_etags
from werkzeug.test import Client as WsgiClient

from clinic_service.db.engine import Database
from clinic_service.specification.apis import Operation
from tests.support.cases import Send, Stage, find_case
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, spec_apis
from tests.support.rows import (
    make_grant,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    share_code,
    storing,
)
from tests.support.statements import counting
from tests.support.units import everything

OPERATIONS = [(api, operation) for api in spec_apis() for operation in api.operations]
STALE = '"000000000000000000000000"'


def takes(header: str) -> list[Operation]:
    return [o for api, o in OPERATIONS if header in {node["name"] for _, node in api.parameters(o)}]


def tagged(*methods: str) -> list[Operation]:
    """The operations of these methods that declare the header ETag for a success."""
    return [
        o
        for api, o in OPERATIONS
        if o.method in methods
        and any("ETag" in api.resolved(node).get("headers", {}) for node in o.definition["responses"].values())
    ]


def by_name(operation: Operation) -> str:
    return operation.operation_id


class Watching(Client):
    """A client that notes what it sends, and can send it with other headers or not at all."""

    def __init__(self, inner: Client) -> None:
        super().__init__(inner.app, inner._secret)
        self.sent: list[tuple[str, str]] = []
        self.added: dict[str, str] = {}

    def request(self, method: str, path: str, *, headers: dict[str, str] | None = None, **rest: Any) -> Reply:
        self.sent.append((method, path))
        return super().request(method, path, headers={**(headers or {}), **self.added}, **rest)

    def send_with(self, send: Send, **headers: str) -> Reply:
        """The answer to the request of `send` with these headers; `_` stands for `-` in their names."""
        self.added = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return send()
        finally:
            self.added = {}


@pytest.fixture
def client(api: Client) -> Watching:
    return Watching(api)


@pytest.fixture
def send(operation: Operation, client: Watching, database: Database) -> Iterator[Send]:
    """Sends the request of the operation's case, whose rows are there."""
    with ExitStack() as needs:
        with storing(database) as unit:
            send = find_case(operation)(Stage(client, database, unit, needs))
        yield send


def test_there_are_operations_of_each_kind() -> None:
    assert len(takes("If-None-Match")) == len(tagged("get")) == 16
    assert len(takes("If-Match")) == 15
    assert len(tagged("post", "put", "patch")) == 23


# What does not exist before the case is sent: these make it.
MAKING = ("UpdateEHRSettings", "UpdateMRNSettings")


@pytest.mark.parametrize("operation", [o for o in takes("If-Match") if o.operation_id in MAKING], ids=by_name)
@pytest.mark.usefixtures("operation")
def test_what_does_not_exist_is_made_only_when_no_state_is_demanded(
    database: Database, client: Watching, send: Send
) -> None:
    before = everything(database)
    for tag in (STALE, "*"):
        assert_error(client.send_with(send, If_Match=tag), 412)
    assert everything(database) == before
    reply = client.send_with(send, If_None_Match="*")
    assert reply.status == 200
    assert reply.headers["ETag"] == client.get(client.sent[-1][1], as_=SERVICE).headers["ETag"]
    assert_error(client.send_with(send, If_None_Match="*"), 412)
    assert client.send_with(send, If_Match=reply.headers["ETag"]).status == 200


@pytest.mark.parametrize("operation", [o for o in takes("If-Match") if o.operation_id not in MAKING], ids=by_name)
class TestEveryChange:
    def test_only_the_present_state_is_changed(
        self, database: Database, client: Watching, operation: Operation, send: Send
    ) -> None:
        before = everything(database)
        assert_error(client.send_with(send, If_Match=STALE), 412)
        assert everything(database) == before
        path = client.sent[-1][1]

        tag = client.get(path, as_=SERVICE).headers["ETag"]
        assert re.fullmatch(r'"[0-9a-f]{24}"', tag)
        assert_error(client.send_with(send, If_None_Match=tag), 412)
        assert_error(client.send_with(send, If_None_Match="*"), 412)
        assert_error(client.send_with(send, If_Match=f"W/{tag}"), 412)
        assert everything(database) == before

        reply = client.send_with(send, If_Match=f"{STALE}, {tag}")
        assert reply.status < 300
        assert everything(database) != before
        if operation.method != "delete" and operation.operation_id != "AssociateClinicianToUser":
            assert reply.headers["ETag"] == client.get(path, as_=SERVICE).headers["ETag"]

    @pytest.mark.usefixtures("operation")
    def test_any_state_is_changed_when_any_is_allowed(self, client: Watching, send: Send) -> None:
        assert client.send_with(send, If_Match="*").status < 300

    @pytest.mark.one_engine
    @pytest.mark.usefixtures("operation")
    def test_a_header_that_is_no_list_of_tags_is_refused(
        self, database: Database, client: Watching, send: Send
    ) -> None:
        before = everything(database)
        reply = client.send_with(send, If_Match="3b1f6c02")
        assert_error(reply, 400)
        assert reply.json["errors"][0]["pointer"] == "/header/If-Match"
        assert everything(database) == before


@pytest.mark.parametrize("operation", tagged("post", "put", "patch"), ids=by_name)
def test_the_tag_of_what_was_changed_is_that_of_what_is_read(
    client: Watching, operation: Operation, send: Send
) -> None:
    reply = send()
    tag = reply.headers["ETag"]
    # A case that needs other servers has a client of its own.
    path = client.sent[-1][1] if client.sent else ""
    shown_at = _address_of(operation, path, reply.json, client)
    if shown_at is not None:
        assert client.get(shown_at, as_=SERVICE).headers["ETag"] == tag


def _address_of(operation: Operation, path: str, body: Any, client: Client) -> str | None:
    """The address at which GET shows the object of an answer; None when no address shows it."""
    schema = next(
        node["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2].partition(".")[0]
        for status, node in operation.definition["responses"].items()
        if status.startswith("2") and "content" in node
    )
    clinic_id = path.split("/")[3] if path.startswith("/v1/clinics/") else None
    if schema == "clinic":
        return f"/v1/clinics/{body['id']}"
    if clinic_id is None:
        clinic_id = client.get("/v1/clinics", as_=SERVICE).json[0]["id"]
    if schema == "patient":
        return f"/v1/clinics/{clinic_id}/patients/{body['id']}"
    if schema == "migration":
        return f"/v1/clinics/{clinic_id}/migrations/{body['userId']}"
    if schema == "clinician":
        if "id" in body:
            return f"/v1/clinics/{clinic_id}/clinicians/{body['id']}"
        return f"/v1/clinics/{clinic_id}/invites/clinicians/{body['inviteId']}/clinician"
    if operation.operation_id == "InviteClinic":
        return None
    return path


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice, Bob and the patient Carol, who lets Alice see her data."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL, "view", "upload")
        make_tag(unit, clinic, "Pump")
        make_site(unit, clinic, "North Wing")
        make_grant(unit, CAROL, ALICE, "view")
        return clinic.id


def _addresses(clinic_id: str) -> dict[str, str]:
    """Of the GETs that no case covers, because nothing is changed at their addresses."""
    day = "2026-03-02T00:00:00Z"
    return {
        "GetClinicByShareCode": f"/v1/clinics/share_code/{share_code(clinic_id)}",
        "TideReport": f"/v1/clinics/{clinic_id}/tide_report?period=14d&lastDataCutoff={day}&tags={'0' * 24}",
        "GetPatientCount": f"/v1/clinics/{clinic_id}/patient_count",
        "GetGroupsForUser": f"/access/groups/{ALICE.id}",
        "GetUsersInGroup": f"/access/{CAROL.id}",
        "GetPermissionsForUser": f"/access/{CAROL.id}/{ALICE.id}",
        "GetClinic": f"/v1/clinics/{clinic_id}",
        "GetPatient": f"/v1/clinics/{clinic_id}/patients/{CAROL.id}",
    }


def test_every_get_with_a_tag_is_looked_at() -> None:
    by_change = {o.path for o in takes("If-Match")}
    left = {o.operation_id for o in tagged("get") if o.path not in by_change}
    assert left <= _addresses("0" * 24).keys()


@pytest.mark.parametrize("name", _addresses("0" * 24))
class TestEveryGet:
    def test_what_the_client_has_is_not_sent_again(self, api: Client, clinic_id: str, name: str) -> None:
        path = _addresses(clinic_id)[name]
        first = api.get(path, as_=SERVICE)
        tag = first.headers["ETag"]
        for known in (tag, f'"other", W/{tag}', "*", f' {tag[:-1]}-zstd" ,'):
            reply = api.get(path, as_=SERVICE, headers={"If-None-Match": known})
            assert (reply.status, reply.body) == (304, b"")
            assert "Content-Type" not in reply.headers
            assert "Content-Length" not in reply.headers
            assert reply.headers["ETag"].strip('"').startswith(tag.strip('"'))
        assert api.request("HEAD", path, as_=SERVICE, headers={"If-None-Match": tag}).status == 304
        assert api.request("HEAD", path, as_=SERVICE, headers={"If-Match": tag}).status == 200
        again = api.get(path, as_=SERVICE, headers={"If-None-Match": STALE})
        assert (again.status, again.body, again.headers["ETag"]) == (200, first.body, tag)

    def test_another_state_than_the_wanted_one_is_refused(self, api: Client, clinic_id: str, name: str) -> None:
        path = _addresses(clinic_id)[name]
        assert_error(api.get(path, as_=SERVICE, headers={"If-Match": STALE}), 412)
        assert api.get(path, as_=SERVICE, headers={"If-Match": "*"}).status == 200

    def test_a_condition_costs_no_statement(self, api: Client, database: Database, clinic_id: str, name: str) -> None:
        path = _addresses(clinic_id)[name]
        tag = api.get(path, as_=SERVICE).headers["ETag"]
        with counting(database) as plain:
            api.get(path, as_=SERVICE)
        with counting(database) as conditional:
            api.get(path, as_=SERVICE, headers={"If-None-Match": tag})
        assert conditional == plain


class TestTags:
    @pytest.mark.parametrize(
        ("method", "address", "body", "caller"),
        [
            ("PUT", "patients/{patient}/reviews", ..., ALICE),
            ("PUT", "patients/{patient}/permissions", {"view": {}}, CAROL),
            ("POST", "patients/assign_tag/{tag}", [CAROL.id], SERVICE),
            ("DELETE", "patients/{patient}/permissions/upload", ..., CAROL),
        ],
    )
    def test_of_a_patient_change_with_what_other_operations_change(
        self, api: Client, clinic_id: str, method: str, address: str, body: Any, caller: Somebody
    ) -> None:
        patient = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
        tag_id = api.get(f"/v1/clinics/{clinic_id}", as_=SERVICE).json["patientTags"][0]["id"]
        before = api.get(patient, as_=SERVICE)
        path = f"/v1/clinics/{clinic_id}/" + address.format(patient=CAROL.id, tag=tag_id)
        assert api.request(method, path, as_=caller, json=body).status < 300
        record = {name: value for name, value in before.json.items() if name != "permissions"}
        stale = {"If-Match": before.headers["ETag"]}
        assert_error(api.put(patient, as_=SERVICE, json=record, headers=stale), 412)
        after = api.get(patient, as_=SERVICE, headers={"If-None-Match": before.headers["ETag"]})
        assert after.status == 200
        assert after.headers["ETag"] != before.headers["ETag"]

    def test_of_a_clinic_change_with_a_tag_of_patients(self, api: Client, clinic_id: str) -> None:
        clinic = f"/v1/clinics/{clinic_id}"
        tag = api.get(clinic, as_=SERVICE).headers["ETag"]
        assert api.post(f"{clinic}/patient_tags", as_=SERVICE, json={"name": "Sensor"}).status == 200
        body = {"name": "Hilltop", "preferredBgUnits": "mg/dL"}
        assert_error(api.put(clinic, as_=ALICE, json=body, headers={"If-Match": tag}), 412)
        assert api.get(clinic, as_=SERVICE).json["name"] == "Harbour Diabetes Centre"

    def test_a_compressed_body_has_its_own_which_names_the_same_state(self, api: Client, database: Database) -> None:
        with storing(database) as unit:
            clinic = make_staffed_clinic(unit)
            for number in range(40):
                make_tag(unit, clinic, f"Tag {number}")
        path = f"/v1/clinics/{clinic.id}"
        plain = api.get(path, as_=SERVICE).headers["ETag"]
        for coding in ("gzip", "zstd"):
            token = {"X-Tidepool-Session-Token": api.token(SERVICE)}
            coded = WsgiClient(api.app).get(path, headers={"Accept-Encoding": coding, **token})
            assert coded.headers["Content-Encoding"] == coding
            assert "Accept-Encoding" in coded.headers.get_all("Vary")
            tag = coded.headers["ETag"]
            assert tag == f'{plain[:-1]}-{coding}"'
            known = {"Accept-Encoding": coding, "If-None-Match": tag}
            reply = api.get(path, as_=SERVICE, headers=known)
            assert (reply.status, reply.headers["ETag"]) == (304, tag)
            body = {"name": f"Hilltop {coding}", "preferredBgUnits": "mg/dL"}
            changed = api.put(path, as_=ALICE, json=body, headers={"If-Match": tag})
            assert changed.status == 200
            plain = changed.headers["ETag"]

    def test_are_the_same_for_everybody(self, api: Client, clinic_id: str) -> None:
        path = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
        assert len({api.get(path, as_=caller).headers["ETag"] for caller in (ALICE, BOB, SERVICE)}) == 1

    @pytest.mark.parametrize(
        ("header", "accepted"),
        [
            ('"a"', True),
            ('W/"a"', True),
            (', "a" ,, W/"b",', True),
            ('"a,b", "c"', True),
            ('""', True),
            ('"\xe9"', True),
            (" * ", True),
            ("", False),
            (",", False),
            ("a", False),
            ('"a', False),
            ('w/"a"', False),
            ('"a" "b"', False),
            ('"a", *', False),
            ('"a b"', False),
            ("*, *", False),
            (", " * 5000 + "x", False),
            ('"a"' + ", " * 5000 + '"b', False),
        ],
    )
    def test_lists_are_read_as_the_standard_says(
        self, api: Client, clinic_id: str, header: str, *, accepted: bool
    ) -> None:
        path = f"/v1/clinics/{clinic_id}"
        status = 200 if accepted and header.strip() != "*" else 304 if accepted else 400
        assert api.get(path, as_=SERVICE, headers={"If-None-Match": header}).status == status
        if accepted:
            assert isinstance(parse_etags(header), ETags)


class TestOrder:
    """A condition tells nothing to those who may not call, and nothing about what does not exist."""

    @pytest.mark.one_engine
    def test_access_comes_first(self, api: Client, clinic_id: str) -> None:
        path = f"/v1/clinics/{clinic_id}"
        assert_error(api.put(path, as_=BOB, json={}, headers={"If-Match": STALE}), 403)
        assert_error(api.put(path, json={}, headers={"If-Match": STALE}), 401)
        assert_error(api.put(path, as_=ALICE, json={}, headers={"If-Match": STALE}), 400)

    def test_what_does_not_exist_is_not_found(self, api: Client, clinic_id: str) -> None:
        path = f"/v1/clinics/{clinic_id}/patients/{BOB.id}"
        for tag in (STALE, "*"):
            assert_error(api.delete(path, as_=ALICE, headers={"If-Match": tag}), 404)

    def test_what_has_no_tag_is_not_changed_under_a_condition(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        site = api.get(f"/v1/clinics/{clinic_id}", as_=SERVICE).json["sites"][0]["id"]
        path, before = f"/v1/clinics/{clinic_id}/sites/{site}", everything(database)
        assert_error(api.put(path, as_=ALICE, json={"name": "South"}, headers={"If-Match": STALE}), 412)
        assert_error(api.put(path, as_=BOB, json={"name": "South"}, headers={"If-Match": STALE}), 403)
        assert everything(database) == before
        assert api.put(path, as_=ALICE, json={"name": "South"}, headers={"If-Match": "*"}).status == 200

    def test_a_malformed_list_names_no_tag_where_no_condition_is_declared(self, api: Client, clinic_id: str) -> None:
        sites, site = f"/v1/clinics/{clinic_id}/sites", {"name": "South"}
        refused = api.post(sites, as_=ALICE, json=site, headers={"If-Match": "3b1f6c02"})
        assert_error(refused, 412)
        assert refused.json["message"] == "This operation has no entity tag to compare with."
        assert api.post(sites, as_=ALICE, json=site, headers={"If-None-Match": "3b1f6c02"}).status == 200
        clinicians = f"/v1/clinics/{clinic_id}/clinicians"
        assert api.get(clinicians, as_=ALICE, headers={"If-Match": "3b1f6c02"}).status == 200
