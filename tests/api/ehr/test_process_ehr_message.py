"""ProcessEHRMessage: POST /v1/redox"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from clinic_service.app import create_app
from clinic_service.config import Config, ConfigError
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, RedoxMessage
from tests.support.cast import ALICE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.ehr import REDOX, REDOX_SECRET, SOURCE_ID, redox_order
from tests.support.errors import assert_error, assert_violations, spec_apis
from tests.support.rows import stored
from tests.support.units import assert_all_or_nothing, everything, number_of_statements

MIB = 1 << 20


def send(api: Client, message: Any = None, **rest: Any) -> Reply:
    return api.post("/v1/redox", **{"json": redox_order() if message is None else message, "headers": REDOX, **rest})


def with_meta(**members: Any) -> dict[str, Any]:
    message = redox_order()
    message["Meta"] |= members
    return message


def test_stores_the_message_and_tells_its_id(redox: Client, database: Database) -> None:
    reply = send(redox)
    assert (reply.status, reply.body) == (200, b"")
    [row] = stored(database, RedoxMessage)
    assert reply.headers["x-tidepool-document-id"] == row.id
    assert (row.data_model, row.event_type, row.source_id) == ("Order", "New", SOURCE_ID)
    assert json.loads(row.payload) == redox_order()
    [event] = stored(database, OutboxEntry)
    assert (event.kind, event.payload) == ("ehr_message_received", {"messageId": row.id})


def test_keeps_the_text_as_it_was_sent(redox: Client, database: Database) -> None:
    text = ' {"Meta" : {"DataModel":"Order",\t"EventType":"New"},\n"$date": {"$oid": "é\\u00e9"}, "n": 1.50}\r\n'
    assert send(redox, data=text.encode(), json=...).status == 200
    assert stored(database, RedoxMessage)[0].payload == text


@pytest.mark.parametrize(
    ("data_model", "event_type"), [("PatientAdmin", "Arrival"), ("Order", "Cancel"), ("What", "Ever"), ("Order", "new")]
)
def test_stores_every_kind_of_message(redox: Client, database: Database, data_model: str, event_type: str) -> None:
    assert send(redox, with_meta(DataModel=data_model, EventType=event_type)).status == 200
    [row] = stored(database, RedoxMessage)
    assert (row.data_model, row.event_type) == (data_model, event_type)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"Source": None, "Destinations": None, "Logs": None},
        {"Source": {}, "Destinations": [], "Logs": []},
        {
            "Source": {"ID": None, "Name": None},
            "Destinations": [{"ID": None}],
            "Logs": [{"ID": None, "AttemptID": None}],
        },
        {"Logs": [{"ID": "1", "AttemptID": "2", "More": {}}], "FacilityCode": 7, "EventDateTime": [], "Test": "no"},
    ],
)
def test_stores_what_says_little_of_its_origin(redox: Client, database: Database, members: dict[str, Any]) -> None:
    """No clinic is looked up, so an unknown or absent source is no reason to refuse."""
    meta = {"DataModel": "Order", "EventType": "New", **members}
    assert send(redox, {"Meta": meta}).status == 200
    assert len(stored(database, RedoxMessage)) == 1


def test_a_message_that_is_delivered_again_is_stored_again_and_marked(redox: Client, database: Database) -> None:
    replies = [send(redox, redox_order(attempt=attempt)) for attempt in "ab"]
    first, second = (reply.headers["x-tidepool-document-id"] for reply in replies)
    assert [reply.status for reply in replies] == [200, 200]
    assert {row.id: row.duplicate_of for row in stored(database, RedoxMessage)} == {first: None, second: first}
    assert [event.payload["messageId"] for event in stored(database, OutboxEntry)] == [first, second]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=latin-1"])
def test_the_body_is_json_whatever_is_said_of_it(redox: Client, content_type: str | None) -> None:
    data = json.dumps(redox_order()).encode()
    assert send(redox, data=data, json=..., content_type=content_type).status == 200


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("message", "pointer", "rule"),
    [
        ({}, "/body/Meta", "required"),
        ({"Order": {}}, "/body/Meta", "required"),
        ([], "/body", "type"),
        ({"Meta": None}, "/body/Meta", "type"),
        ({"Meta": []}, "/body/Meta", "type"),
        ({"Meta": {"EventType": "New"}}, "/body/Meta/DataModel", "required"),
        ({"Meta": {"DataModel": "Order"}}, "/body/Meta/EventType", "required"),
        (with_meta(DataModel=""), "/body/Meta/DataModel", "minLength"),
        (with_meta(EventType=""), "/body/Meta/EventType", "minLength"),
        (with_meta(DataModel=7), "/body/Meta/DataModel", "type"),
        (with_meta(EventType=None), "/body/Meta/EventType", "type"),
        (with_meta(Source="x"), "/body/Meta/Source", "type"),
        (with_meta(Source={"ID": 7}), "/body/Meta/Source/ID", "type"),
        (with_meta(Source={"ID": "x" * 256}), "/body/Meta/Source/ID", "maxLength"),
        (with_meta(Logs={}), "/body/Meta/Logs", "type"),
        (with_meta(Logs=["x"]), "/body/Meta/Logs/0", "type"),
        (with_meta(Logs=[{}, {"AttemptID": 7}]), "/body/Meta/Logs/1/AttemptID", "type"),
        (with_meta(Destinations={}), "/body/Meta/Destinations", "type"),
        (with_meta(Destinations=[None]), "/body/Meta/Destinations/0", "type"),
    ],
)
def test_what_is_no_message_is_refused(
    redox: Client, database: Database, message: Any, pointer: str, rule: str
) -> None:
    before = everything(database)
    assert_violations(send(redox, message), (pointer, rule))
    assert everything(database) == before


@pytest.mark.one_engine
@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"Meta": {"DataModel": "Order", "EventType": "\\u0000"}}'])
def test_what_cannot_be_read_is_refused(redox: Client, database: Database, data: bytes) -> None:
    assert_error(send(redox, data=data, json=..., content_type="application/json"), 400)
    assert stored(database, RedoxMessage) == []


def test_takes_messages_of_eight_mebibytes_and_no_larger_ones(redox: Client, database: Database) -> None:
    message = redox_order() | {"Padding": ""}
    room = 8 * MIB - len(json.dumps(message, separators=(",", ":")))
    message["Padding"] = "x" * room
    fitting = json.dumps(message, separators=(",", ":")).encode()
    assert len(fitting) == 8 * MIB
    assert send(redox, data=fitting, json=...).status == 200
    assert_error(send(redox, data=fitting + b" ", json=...), 413)
    assert [len(row.payload) for row in stored(database, RedoxMessage)] == [8 * MIB]


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "headers", [{}, {"Verification-Token": ""}, {"Verification-Token": "a secret shared with Redox"}]
)
@pytest.mark.parametrize("caller", [None, ALICE, SERVICE])
@pytest.mark.parametrize("data", [b"{", json.dumps(redox_order()).encode()])
def test_without_the_secret_nobody_is_told_more(
    redox: Client, database: Database, headers: dict[str, str], caller: Somebody | None, data: bytes
) -> None:
    assert_error(send(redox, data=data, json=..., headers=headers, as_=caller), 401)
    assert stored(database, RedoxMessage) == []


@pytest.mark.one_engine
def test_without_a_configured_secret_nobody_passes(api: Client) -> None:
    for headers in (REDOX, {}, {"Verification-Token": ""}):
        assert_error(send(api, headers=headers), 401)


@pytest.mark.parametrize(("secret", "warned"), [(None, True), (REDOX_SECRET, False)])
def test_a_server_without_a_secret_says_so_when_it_starts(
    database: Database, config: Config, caplog: pytest.LogCaptureFixture, secret: str | None, warned: bool
) -> None:
    create_app(replace(config, redox_verification_token=secret), database, apis=spec_apis())
    assert [record.getMessage() for record in caplog.records] == ["redox_secret_missing"] * warned


def test_a_secret_that_no_request_could_have_is_refused_when_the_server_starts() -> None:
    longest = spec_apis()[0].document["components"]["schemas"]["redoxVerification.v1"]["properties"][
        "verification-token"
    ]["maxLength"]
    Config(redox_verification_token="x" * longest)
    with pytest.raises(ConfigError, match="CLINIC_REDOX_VERIFICATION_TOKEN"):
        Config(redox_verification_token="x" * (longest + 1))


def test_the_number_of_statements_does_not_depend_on_the_message(redox: Client, database: Database) -> None:
    small = number_of_statements(database, lambda: send(redox, redox_order(log_id="a")))
    large = redox_order(log_id="b") | {"Observations": [{"Code": "x" * 100}] * 5000}
    assert number_of_statements(database, lambda: send(redox, large)) == small == 2


def test_a_duplicate_is_stored_as_a_whole_or_not_at_all(redox: Client, database: Database) -> None:
    send(redox)
    assert_all_or_nothing(database, lambda: send(redox, redox_order(attempt="b")), statements=4)
