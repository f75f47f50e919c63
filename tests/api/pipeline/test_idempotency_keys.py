"""Idempotency-Key: of every POST that stores something, a repeat gets the same answer and has no second effect."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.api.plan import may_write
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.models import StoredAnswer
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.retention import purge_stored_answers
from clinic_service.specification.apis import Operation
from tests.conftest import SECRET
from tests.contract.test_all_or_nothing import NOTHING_STORED
from tests.support.cases import Send, Stage, find_case
from tests.support.cast import ALICE, BOB, CAROL, SERVICE
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, spec_apis
from tests.support.rows import make_staffed_clinic, stored, storing
from tests.support.small import operation, small_app
from tests.support.small_work import store
from tests.support.small_work import stored as rows_stored
from tests.support.statements import counting
from tests.support.units import assert_all_or_nothing, everything

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
TAKING = [o for api in spec_apis() for o in api.operations if o.method == "post" and may_write(o)]
# The rows and events of one `store`.
ONE_EFFECT = (2, 1)
# What is different in every answer, whether it is a repeat or not.
OWN_HEADERS = {"X-Tidepool-Trace-Request", "X-Request-Id", "Date", "Idempotent-Replayed"}


@pytest.fixture
def send(operation: Operation, api: Client, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Send]:
    """Sends the request of the operation's case, whose rows are there, with the key."""
    request = Client.request

    def with_key(client: Client, method: str, path: str, **rest: Any) -> Reply:
        headers = {**(rest.pop("headers", None) or {}), "Idempotency-Key": KEY}
        return request(client, method, path, headers=headers, **rest)

    with ExitStack() as needs:
        with storing(database) as unit:
            send = find_case(operation)(Stage(api, database, unit, needs))
        # Some cases have clients of their own.
        monkeypatch.setattr(Client, "request", with_key)
        yield send


def shown(reply: Reply) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All of an answer that a repeat must get again."""
    return reply.status, reply.body, [(name, value) for name, value in reply.headers if name not in OWN_HEADERS]


def test_every_post_that_stores_something_takes_a_key() -> None:
    declaring = {
        o.operation_id
        for api in spec_apis()
        for o in api.operations
        if any(node["name"] == "Idempotency-Key" for _, node in api.parameters(o))
    }
    assert declaring == {o.operation_id for o in TAKING}
    assert len(declaring) > 25


@pytest.mark.parametrize("operation", TAKING, ids=lambda operation: operation.operation_id)
def test_a_repeat_gets_the_same_answer_and_has_no_second_effect(
    database: Database, operation: Operation, send: Send
) -> None:
    before = everything(database)
    first = send()
    assert first.status < 300
    assert "Idempotent-Replayed" not in first.headers
    after = everything(database)
    assert len(after["stored_answers"]) == 1

    with clock.frozen(clock.now() + timedelta(hours=23)):
        second = send()
    assert shown(second) == shown(first)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert everything(database) == after
    if operation.operation_id not in NOTHING_STORED:
        assert {table for table in after if after[table] != before[table]} > {"stored_answers"}


@pytest.mark.parametrize(
    "operation",
    [o for o in TAKING if o.operation_id in ("CreatePatientTag", "InviteClinician", "GrantPermissionsInGroup")],
    ids=lambda operation: operation.operation_id,
)
@pytest.mark.usefixtures("operation")
def test_a_failure_at_any_statement_leaves_neither_effect_nor_key_behind(database: Database, send: Send) -> None:
    assert_all_or_nothing(database, send)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def post(api: Client, clinic_id: str, name: str = "Pump", key: str = KEY, **rest: Any) -> Reply:
    rest.setdefault("as_", ALICE)
    headers = {"Idempotency-Key": key}
    return api.post(f"/v1/clinics/{clinic_id}/patient_tags", json={"name": name}, headers=headers, **rest)


def names(api: Client, clinic_id: str) -> list[str]:
    return [tag["name"] for tag in api.get(f"/v1/clinics/{clinic_id}", as_=SERVICE).json["patientTags"]]


class TestKeys:
    def test_belong_to_one_request(self, api: Client, clinic_id: str) -> None:
        assert post(api, clinic_id).status == 200
        reply = post(api, clinic_id, "Sensor")
        assert_error(reply, 422)
        assert reply.json["errors"] == [{"pointer": "/header/Idempotency-Key", "rule": "unique", "expected": True}]
        other = f"/v1/clinics/{clinic_id}/sites"
        assert_error(api.post(other, as_=ALICE, json={"name": "Pump"}, headers={"Idempotency-Key": KEY}), 422)
        assert names(api, clinic_id) == ["Pump"]

    def test_belong_to_one_path(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            other = make_staffed_clinic(unit).id
        assert post(api, clinic_id).status == 200
        assert_error(post(api, other), 422)

    def test_belong_to_one_caller(self, api: Client, clinic_id: str) -> None:
        assert post(api, clinic_id).status == 200
        assert post(api, clinic_id, "Sensor", as_=BOB).status == 200
        assert post(api, clinic_id, "Loop", as_=SERVICE).status == 200
        assert sorted(names(api, clinic_id)) == ["Loop", "Pump", "Sensor"]

    def test_do_not_depend_on_the_spelling_of_the_body(self, api: Client, clinic_id: str) -> None:
        path, headers = f"/v1/clinics/{clinic_id}/patient_tags", {"Idempotency-Key": KEY}
        for body in (b'{"name": "Pump", "id": null}', b'{"id":null,"name":"Pu\\u006dp"}'):
            reply = api.post(path, as_=ALICE, headers=headers, data=body, content_type="application/json")
            assert reply.status == 400
        for body in (b'{"name": "Pump", "x": 1}', b'{"x":1,"name":"Pu\\u006dp"}'):
            reply = api.post(path, as_=ALICE, headers=headers, data=body, content_type="application/json")
            assert reply.status == 200
        assert names(api, clinic_id) == ["Pump"]

    def test_may_be_quoted(self, api: Client, clinic_id: str) -> None:
        assert post(api, clinic_id, key="a\\b").status == 200
        assert post(api, clinic_id, key='"a\\\\b"').headers["Idempotent-Replayed"] == "true"

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "key", ["", " ", '""', "a b", "a,b", '"a', 'a"b', "\xe9", '"\xe9"', '"a\\b"', "x" * 256, '"' + "x" * 256 + '"']
    )
    def test_of_another_form_are_refused(self, api: Client, database: Database, clinic_id: str, key: str) -> None:
        before = everything(database)
        reply = post(api, clinic_id, key=key)
        assert_error(reply, 400)
        assert reply.json["errors"][0]["pointer"] == "/header/Idempotency-Key"
        assert everything(database) == before

    @pytest.mark.parametrize("key", ["x" * 255, '"' + "\\\\" * 255 + '"', "!#$%&'*+-.^_`|~:;<=>?@[]{}()/"])
    def test_of_this_form_are_taken(self, api: Client, clinic_id: str, key: str) -> None:
        assert post(api, clinic_id, key=key).status == 200
        assert post(api, clinic_id, key=key).headers["Idempotent-Replayed"] == "true"

    def test_are_not_looked_at_where_nothing_is_stored(self, api: Client, clinic_id: str) -> None:
        reply = api.get(f"/v1/clinics/{clinic_id}", as_=ALICE, headers={"Idempotency-Key": "a b"})
        assert reply.status == 200

    def test_may_be_used_anew_after_a_day(self, api: Client, database: Database, clinic_id: str) -> None:
        assert post(api, clinic_id).status == 200
        with clock.frozen(clock.now() + timedelta(hours=24, seconds=1)):
            assert post(api, clinic_id, "Sensor").status == 200
            assert post(api, clinic_id, "Sensor").headers["Idempotent-Replayed"] == "true"
        assert sorted(names(api, clinic_id)) == ["Pump", "Sensor"]
        assert len(stored(database, StoredAnswer)) == 1


class TestRefusals:
    def test_are_not_kept_and_do_not_use_up_the_key(self, api: Client, database: Database, clinic_id: str) -> None:
        assert post(api, clinic_id, key="other").status == 200
        assert_error(post(api, clinic_id), 409)
        assert_error(post(api, clinic_id, name=""), 400)
        assert [row.key for row in stored(database, StoredAnswer)] == ["other"]
        reply = post(api, clinic_id, "Sensor")
        assert (reply.status, "Idempotent-Replayed" in reply.headers) == (200, False)

    @pytest.mark.one_engine
    def test_of_those_who_may_not_call_claim_nothing(self, api: Client, database: Database, clinic_id: str) -> None:
        assert_error(post(api, clinic_id, as_=CAROL), 403)
        assert_error(post(api, clinic_id, as_=None), 401)
        assert stored(database, StoredAnswer) == []

    def test_come_before_a_stored_answer(self, api: Client, clinic_id: str) -> None:
        """A right that was taken away is gone, also for what was allowed before."""
        assert post(api, clinic_id, as_=BOB).status == 200
        assert api.delete(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}", as_=ALICE).status == 200
        assert_error(post(api, clinic_id, as_=BOB), 403)


def test_a_request_without_a_key_sends_no_statement_about_keys(api: Client, database: Database, clinic_id: str) -> None:
    path = f"/v1/clinics/{clinic_id}/patient_tags"
    with counting(database) as sent:
        assert api.post(path, as_=ALICE, json={"name": "Pump"}).status == 200
    assert [sql for sql in sent if "stored_answers" in sql] == []


PATHS = {
    "/work": {
        "post": operation(
            "Work", parameters=[{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}]
        )
    }
}


class TestWhileTheFirstRequestIsCarriedOut:
    """The first request waits in its preparation, where it holds no transaction."""

    @pytest.fixture
    def started(self) -> Event:
        return Event()

    @pytest.fixture
    def go_on(self) -> Event:
        return Event()

    @pytest.fixture
    def send(self, database: Database, config: Config, started: Event, go_on: Event) -> Send:
        """Sends a request with the key, which stores something."""

        def prepare(_ctx: Preparation) -> bool:
            is_first = not started.is_set()
            started.set()
            assert go_on.wait(30) if is_first else True
            return is_first

        def work(ctx: Context, is_first: bool) -> Any:
            store(ctx.uow)
            return {"isFirst": is_first}

        client = Client(small_app(database, config, PATHS, with_preparation(prepare)(work)), SECRET)
        return lambda: client.post("/work", as_=ALICE, headers={"Idempotency-Key": KEY})

    def test_a_repeat_has_to_wait(self, database: Database, send: Send, started: Event, go_on: Event) -> None:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(send)
            assert started.wait(30)
            try:
                repeat = send()
            finally:
                go_on.set()
            assert first.result(timeout=60).json == {"isFirst": True}
        assert_error(repeat, 409)
        assert repeat.headers["Retry-After"] == "1"
        assert send().json == {"isFirst": True}
        assert rows_stored(database) == ONE_EFFECT

    def test_a_repeat_takes_over_when_the_claim_is_over(
        self, database: Database, send: Send, started: Event, go_on: Event
    ) -> None:
        """The first process was stopped for long, so that it seemed dead. When it goes on, it must not commit."""
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(send)
            assert started.wait(30)
            try:
                with clock.frozen(clock.now() + timedelta(minutes=5)):
                    taken_over = send()
            finally:
                go_on.set()
            assert_error(first.result(timeout=60), 409)
        assert taken_over.json == {"isFirst": False}
        assert send().json == {"isFirst": False}
        assert rows_stored(database) == ONE_EFFECT


class TestRetention:
    def test_removes_what_is_a_day_old(self, api: Client, database: Database, clinic_id: str) -> None:
        assert post(api, clinic_id).status == 200
        now = clock.now()
        with clock.frozen(now + timedelta(hours=1)):
            assert post(api, clinic_id, "Sensor", key="later").status == 200
        with clock.frozen(now + timedelta(hours=23)):
            assert purge_stored_answers(database).number == 0
        with clock.frozen(now + timedelta(hours=24, minutes=1)):
            assert purge_stored_answers(database).number == 1
        assert [row.key for row in stored(database, StoredAnswer)] == ["later"]

    def test_removes_in_small_batches(
        self, api: Client, database: Database, clinic_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("clinic_service.retention.BATCH", 2)
        for number in range(5):
            assert post(api, clinic_id, f"Tag {number}", key=str(number)).status == 200
        with clock.frozen(clock.now() + timedelta(days=2)), counting(database) as sent:
            assert purge_stored_answers(database).number == 5
        assert len([sql for sql in sent if sql.startswith("DELETE")]) == 4
        assert stored(database, StoredAnswer) == []
