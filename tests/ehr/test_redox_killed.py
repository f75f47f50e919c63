"""The worker ends in the middle of an order: the next one reaches the same result."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.gateways.redox import HttpRedox
from clinic_service.models import EhrSubscription, OrderState
from clinic_service.outbox.relay import CLAIMED_FOR
from tests.ehr.exchange import Exchange
from tests.ehr.failing import ALL, CREATED, work_on
from tests.ehr.orders import order
from tests.support.databases import filled_tables
from tests.support.killing import killed_at
from tests.support.platform import platform
from tests.support.rows import stored, storing


class TestKilled:
    """The process ends at any moment, and another one goes on."""

    @pytest.mark.parametrize("kept", ["here", "elsewhere"])
    def test_state_is_reached_once_and_everything_is_sent(self, exchange: Exchange, kept: str) -> None:
        with platform() as elsewhere:
            if kept == "elsewhere":
                exchange.accounts = HttpAccounts(elsewhere.config())
            step, reached = 0, True
            while reached:
                step += 1
                self._start_anew(exchange)
                with killed_at(exchange.database, step) as steps:
                    exchange.deliver()
                reached = steps.reached
                self._go_on(exchange)
                self._assert_done(exchange)
        assert step > 20

    @staticmethod
    def _start_anew(exchange: Exchange) -> None:
        for patient in exchange.patients:
            exchange.accounts.remove(patient.user_id)
        with storing(exchange.database) as unit:
            for table in reversed(filled_tables(unit.connection)):
                if table.name not in ("clinics", "share_codes", "accounts", "account_emails"):
                    unit.execute(table.delete())
        exchange.redox.server.received.clear()
        exchange.configure()
        exchange.receive(order("BOTH"))

    @staticmethod
    def _go_on(exchange: Exchange) -> None:
        exchange.configure()
        for number in range(1, 3):
            work_on(exchange, number * (CLAIMED_FOR + timedelta(seconds=1)))

    @staticmethod
    def _assert_done(exchange: Exchange) -> None:
        [outcome], [patient] = exchange.outcomes, exchange.patients
        assert (outcome.state, outcome.user_id) == (OrderState.ANSWERED, patient.user_id)
        [subscription] = stored(exchange.database, EhrSubscription)
        assert (subscription.patient_id, subscription.active) == (patient.id, True)
        found = exchange.accounts.find_by_email("carol@mail.example")
        assert found is not None
        assert found.user_id == patient.user_id
        # At least once each, and nothing else: whoever was told so once is told the same again.
        assert set(exchange.redox.kinds) == set(CREATED)
        assert {result[:2] for result in exchange.results} == {("ACCOUNT_CREATION_RESULT", "SUCCESS")}
        assert len({m["Note"]["DocumentID"] for m in exchange.redox.messages if "Note" in m}) == 1


def test_message_that_was_taken_just_before_the_end_is_sent_again_under_the_same_id(exchange: Exchange) -> None:
    exchange.patient()
    message_id = exchange.receive()
    _end_after_taking(exchange, "Notes")
    with pytest.raises(SystemExit):
        exchange.deliver()
    exchange.configure()
    with exchange.later(CLAIMED_FOR):
        assert exchange.deliver() == 1
    assert exchange.redox.kinds == [*ALL, "Notes/New"]
    assert {m["Note"]["DocumentID"] for m in exchange.redox.messages if "Note" in m} == {message_id}
    assert [outcome.state for outcome in exchange.outcomes] == [OrderState.ANSWERED]


def _end_after_taking(exchange: Exchange, data_model: str) -> None:
    class Ending(HttpRedox):
        def send(self, message: Any) -> None:
            super().send(message)
            if message["Meta"]["DataModel"] == data_model:
                raise SystemExit

    exchange.relay = exchange.new_relay(Ending(exchange.config, seconds=20))
