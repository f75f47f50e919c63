"""Orders of Redox that are delivered twice, late or in another order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.ehr.exchange import Exchange
from tests.ehr.orders import order
from tests.ehr.outcomes import REPORT, next_order, states, subscriptions
from tests.support.redox import REFUSED, TAKEN, in_turn
from tests.support.relays import make_relay


class TestRepeatedAndLateOrders:
    def test_second_delivery_is_not_acted_on(self, exchange: Exchange) -> None:
        exchange.patient()
        for attempt in ("first", "second", "third"):
            made = order()
            made["Meta"]["Logs"][0]["AttemptID"] = attempt
            exchange.receive(made)
            exchange.deliver()
        assert exchange.redox.kinds == ["Results/New", *REPORT]
        assert states(exchange) == ["answered", "ignored", "ignored"]

    def test_second_delivery_waits_for_the_first_one(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.redox.endpoint = in_turn(REFUSED, TAKEN)
        exchange.receive()
        exchange.receive()
        assert exchange.deliver() == 0
        assert [event.attempts for event in exchange.events] == [1, 1]
        with exchange.later(timedelta(seconds=15)):
            assert exchange.deliver() == 2
        assert exchange.redox.kinds == ["Results/New", "Results/New", *REPORT]
        assert states(exchange) == ["answered", "ignored"]

    def test_delivery_after_one_that_failed_for_good_is_acted_on(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.redox.endpoint = in_turn(REFUSED)
        exchange.receive()
        exchange.deliver_three_times()
        exchange.redox.endpoint = in_turn(TAKEN)
        exchange.receive()
        with exchange.later(timedelta(minutes=1)):
            exchange.deliver()
        assert states(exchange) == ["failed", "answered"]
        assert exchange.redox.kinds[-3:] == ["Results/New", *REPORT]

    def test_delivery_after_one_that_came_while_redox_was_switched_off_is_acted_on(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()
        assert make_relay(exchange.database, exchange.config, None, exchange.accounts).deliver_due() == 1
        exchange.receive()
        assert exchange.deliver() == 1
        assert states(exchange) == ["answered"]

    def test_delivery_after_another_message_of_the_same_log_id_is_acted_on(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        for seconds, code in enumerate(("ENABLE", "DISABLE", "ENABLE")):
            made = order(code)
            with exchange.later(timedelta(seconds=seconds)):
                exchange.receive(made)
                exchange.deliver()
        assert [result[2][-4:] for result in exchange.results] == [" on.", "off.", " on."]
        assert subscriptions(exchange) == [(patient.id, True)]

    def test_orders_without_a_log_id_are_never_the_same(self, exchange: Exchange) -> None:
        exchange.patient()
        for _ in range(2):
            made = order()
            del made["Meta"]["Logs"]
            exchange.receive(made)
            exchange.deliver()
        assert states(exchange) == ["answered", "answered"]

    @pytest.mark.parametrize("late", ["ENABLE", "BOTH"])
    def test_order_that_arrives_after_a_later_one_changes_nothing(self, exchange: Exchange, late: str) -> None:
        patient = exchange.patient()
        exchange.subscribe(patient)
        exchange.receive(next_order("DISABLE", 10))
        exchange.receive(next_order(late, 5))
        exchange.deliver()
        assert subscriptions(exchange) == [(patient.id, False)]
        assert [result[1] for result in exchange.results] == ["SUCCESS", "FAILURE"]
        assert "later order" in exchange.results[1][2]
        assert exchange.redox.kinds == ["Results/New", "Results/New"]

    def test_orders_of_the_same_time_count_as_they_arrive(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.receive(next_order("ENABLE", 5))
        with exchange.later(timedelta(seconds=1)):
            exchange.receive(next_order("DISABLE", 5, Visit={"VisitNumber": "2"}))
            exchange.deliver()
        assert subscriptions(exchange) == [(patient.id, False)]

    def test_report_is_not_sent_when_a_later_order_has_switched_it_off(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.redox.endpoint = in_turn(REFUSED, TAKEN)
        exchange.receive(next_order("ENABLE", 5))
        exchange.receive(next_order("DISABLE", 10))
        exchange.deliver()
        with exchange.later(timedelta(seconds=15)):
            exchange.deliver()
        assert subscriptions(exchange) == [(patient.id, False)]
        assert [result[2][-4:] for result in exchange.results] == [" on.", "off.", " on."]
        assert not set(REPORT) & set(exchange.redox.kinds)
