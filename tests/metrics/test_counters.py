"""Each metric of what happens beside the requests moves when that happens."""

from __future__ import annotations

import threading

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.gateways.breaker import Breaker, CircuitOpen
from clinic_service.server.limits import Limits
from clinic_service.unit_of_work import reading, run
from tests.outbox.relaying import HARBOUR, RecordingMailer, add_events, clinic_created, relay_with
from tests.support.cast import ALICE
from tests.support.gates import serving_gate, wait_until
from tests.support.metrics import metric


class TestDatabase:
    def test_connections_in_use(self, database: Database) -> None:
        def used() -> float:
            database.measure()
            return metric("clinic_database_connections_used", pool="read")

        assert used() == 0
        with reading(database), reading(database):
            assert used() == 2
        assert used() == 0
        read, write = (metric("clinic_database_connections_limit", pool=pool) for pool in ("read", "write"))
        assert read == 2 * (write - 1)

    def test_work_that_waits_for_a_connection(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        database.measure()
        limit = int(metric("clinic_database_connections_limit", pool="write"))
        before = metric("clinic_database_pool_wait_seconds_count", pool="write")
        monkeypatch.setattr(database.write_engine.pool, "_timeout", 0.01)
        database.writers.close()
        held = [database.write_engine.raw_connection() for _ in range(limit)]
        assert metric("clinic_database_pool_wait_seconds_count", pool="write") == before
        try:
            with pytest.raises(Unavailable):
                run(database, lambda _: None, writes=True)
        finally:
            for connection in held:
                connection.close()
        assert metric("clinic_database_pool_wait_seconds_count", pool="write") == before + 1

    def test_transactions_that_are_run_again(self, database: Database) -> None:
        before = metric("clinic_transaction_retries_total")
        failures = [_Retryable(), None]

        def work(_: object) -> None:
            failure = failures.pop(0)
            if failure:
                raise failure

        run(database, work, writes=False)
        assert metric("clinic_transaction_retries_total") == before + 1


class _Retryable(Exception):
    """Looks like the loss of a connection."""

    connection_invalidated = True


@pytest.fixture
def accounts(database: Database) -> EmbeddedAccounts:
    directory = EmbeddedAccounts(database)
    directory.add(NewAccount(ALICE.id, (ALICE.email,)))
    return directory


class TestOutbox:
    def test_deliveries_and_failures_by_kind(self, database: Database, accounts: EmbeddedAccounts) -> None:
        def deliveries(outcome: str) -> float:
            return metric("clinic_outbox_deliveries_total", kind="clinic_created", outcome=outcome)

        before = deliveries("delivered"), deliveries("failed")
        mailer = RecordingMailer()
        add_events(database, clinic_created(HARBOUR, "Harbour"))
        mailer.fails = lambda _: True
        relay_with(database, mailer, accounts).deliver_due()
        assert (deliveries("delivered"), deliveries("failed")) == (before[0], before[1] + 1)
        mailer.fails = lambda _: False
        add_events(database, clinic_created("65f1c0de0a1b2c3d4e5f6a7c", "Other"))
        relay_with(database, mailer, accounts).deliver_due()
        assert (deliveries("delivered"), deliveries("failed")) == (before[0] + 1, before[1] + 1)


class TestRemoteServices:
    def test_calls_by_outcome_and_open_breakers(self) -> None:
        service = "accounts.example"
        breaker = Breaker(service, failures=2, pause_seconds=10)

        def calls(outcome: str) -> float:
            return metric("clinic_remote_calls_total", service=service, outcome=outcome)

        def open_breakers() -> float:
            return metric("clinic_open_circuit_breakers", service=service)

        def fail() -> None:
            with pytest.raises(Unavailable), breaker.guard():
                raise Unavailable

        with breaker.guard():
            pass
        fail()
        assert (calls("answered"), calls("failed"), open_breakers()) == (1, 1, 0)
        fail()
        assert (calls("failed"), open_breakers()) == (2, 1)
        with pytest.raises(CircuitOpen), breaker.guard():
            pass
        assert (calls("refused"), open_breakers()) == (1, 1)
        with clock.advanced(11):
            fail()
            assert (calls("failed"), open_breakers()) == (3, 1)
        with clock.advanced(30), breaker.guard():
            pass
        assert (calls("answered"), open_breakers()) == (2, 0)


class TestLoad:
    def test_requests_that_run_and_that_wait(self) -> None:
        with serving_gate(Limits(check_seconds=0.01), threads=1) as served:
            threads = [threading.Thread(target=served.get, args=("/wait",)) for _ in range(3)]
            for thread in threads:
                thread.start()
            wait_until(lambda: served.gate.requests == 3)
            served.on_loop(served.gate.measure)
            assert metric("clinic_requests_in_progress", state="running") == 1
            assert metric("clinic_requests_in_progress", state="waiting") == 2
            assert metric("clinic_connections") == 3
            served.app.release.set()
            for thread in threads:
                thread.join()
            served.on_loop(served.gate.measure)
            assert metric("clinic_requests_in_progress", state="running") == 0
            assert metric("clinic_requests_in_progress", state="waiting") == 0

    def test_delays_of_the_event_loop(self) -> None:
        before = metric("clinic_event_loop_delay_seconds_count")
        with serving_gate(Limits(check_seconds=0.01)) as served:
            served.on_loop(served.gate.measure)
        assert metric("clinic_event_loop_delay_seconds_count") == before + 1
