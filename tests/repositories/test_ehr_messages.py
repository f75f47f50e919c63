"""Storing messages of Redox, on both engines."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, RedoxMessage
from clinic_service.resources.ehr.redox.messages import receive
from clinic_service.unit_of_work import run
from tests.support.ehr import SOURCE_ID, redox_order, store_message
from tests.support.rows import stored, storing
from tests.support.statements import counting


def store(database: Database, message: dict[str, Any] | None = None) -> str:
    with storing(database) as unit:
        return store_message(unit, message)


def test_what_is_asked_about_a_message_stands_beside_its_text(database: Database) -> None:
    message = redox_order()
    text = json.dumps(message, indent=3)
    with storing(database) as unit:
        message_id = receive(unit, message, text)
    [row] = stored(database, RedoxMessage)
    assert (row.id, row.payload) == (message_id, text)
    assert (row.data_model, row.event_type) == ("Order", "New")
    assert (row.source_id, row.source_name, row.facility_code) == (SOURCE_ID, "Harbour EHR", "HRBR")
    assert (row.log_id, row.log_attempt_id) == (
        message["Meta"]["Logs"][0]["ID"],
        message["Meta"]["Logs"][0]["AttemptID"],
    )
    assert row.event_time == datetime(2026, 3, 2, 9, 29, 41, tzinfo=UTC)
    assert row.is_test is False
    assert row.destination_ids == [message["Meta"]["Destinations"][0]["ID"]]
    assert row.duplicate_of is None
    [event] = stored(database, OutboxEntry)
    assert (event.kind, event.clinic_id, event.payload) == ("ehr_message_received", "", {"messageId": message_id})


def test_what_a_message_does_not_say_is_null(database: Database) -> None:
    store(database, {"Meta": {"DataModel": "PatientAdmin", "EventType": "Arrival"}})
    [row] = stored(database, RedoxMessage)
    assert (row.data_model, row.event_type) == ("PatientAdmin", "Arrival")
    said = (row.source_id, row.source_name, row.facility_code, row.event_time, row.is_test, row.log_id)
    assert said == (None,) * 6
    assert (row.log_attempt_id, row.destination_ids) == (None, None)


@pytest.mark.parametrize(
    "time",
    [
        None,
        7,
        "",
        "yesterday",
        "2026-03-02",
        "2026-03-02T09:29:41",
        "2026-03-02T09:29:60Z",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_a_time_that_is_none_is_null(database: Database, time: Any) -> None:
    message = redox_order()
    message["Meta"] |= {"EventDateTime": time, "Test": "no", "FacilityCode": 7}
    store(database, message)
    [row] = stored(database, RedoxMessage)
    assert (row.event_time, row.is_test, row.facility_code) == (None, None, None)


def test_a_time_of_another_zone_is_stored_in_utc(database: Database) -> None:
    message = redox_order()
    message["Meta"]["EventDateTime"] = "2026-03-02t05:29:41.5-04:00"
    store(database, message)
    [row] = stored(database, RedoxMessage)
    assert row.event_time == datetime(2026, 3, 2, 9, 29, 41, 500_000, tzinfo=UTC)


class TestDuplicates:
    def test_are_stored_again_and_marked_with_the_first_delivery(self, database: Database) -> None:
        first, second, third = (store(database, redox_order(attempt=attempt)) for attempt in "abc")
        rows = stored(database, RedoxMessage)
        assert [(row.id, row.duplicate_of) for row in rows] == [(first, None), (second, first), (third, first)]
        events = stored(database, OutboxEntry)
        assert [event.payload["messageId"] for event in events] == [first, second, third]

    @pytest.mark.parametrize(
        "other",
        [
            redox_order(log_id="another"),
            redox_order(source_id="another"),
            redox_order(DOB="1987-04-13"),
        ],
    )
    def test_have_the_same_source_and_log_and_content(self, database: Database, other: dict[str, Any]) -> None:
        for message in (redox_order(), other):
            store(database, message)
        assert [row.duplicate_of for row in stored(database, RedoxMessage)] == [None, None]

    @pytest.mark.parametrize("missing", ["Source", "Logs"])
    def test_cannot_be_known_without_a_source_and_a_log(self, database: Database, missing: str) -> None:
        message = redox_order()
        del message["Meta"][missing]
        for _ in range(2):
            store(database, message)
        assert [row.duplicate_of for row in stored(database, RedoxMessage)] == [None, None]

    def test_that_arrive_at_once_have_one_first_delivery(self, database: Database) -> None:
        start = Barrier(4)

        def deliver(attempt: str) -> str:
            start.wait(timeout=30)
            return run(database, lambda unit: store_message(unit, redox_order(attempt=attempt)), writes=True)

        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(deliver, "abcd"))
        rows = stored(database, RedoxMessage)
        assert sorted(row.id for row in rows) == sorted(ids)
        [first] = [row.id for row in rows if row.duplicate_of is None]
        assert {row.duplicate_of for row in rows} == {None, first}

    def test_cost_two_statements_more(self, database: Database) -> None:
        numbers = []
        for attempt in "abc":
            with storing(database) as unit, counting(database) as sent:
                store_message(unit, redox_order(attempt=attempt))
            numbers.append(len(sent))
        assert numbers == [2, 4, 4]
