"""Orders of Redox with a directory of accounts that is another system."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.models import EhrSubscription, OrderState
from clinic_service.resources.ehr.redox.orders import TECHNICAL_PROBLEM
from tests.ehr.exchange import Exchange
from tests.ehr.failing import CREATED, FAILURES, QUARTER_MINUTE, work_on
from tests.ehr.orders import order
from tests.support.cast import CAROL
from tests.support.http_server import Received, Response
from tests.support.platform import platform
from tests.support.rows import stored


class TestDirectoryOfAnotherSystem:
    """The accounts are kept elsewhere, and that fails while an order asks for an account."""

    def test_account_is_made_there(self, exchange: Exchange) -> None:
        with platform() as elsewhere:
            exchange.accounts = HttpAccounts(elsewhere.config())
            exchange.configure()
            exchange.receive(order("BOTH"))
            assert exchange.deliver() == 1
            [(user_id, email)] = elsewhere.users.items()
        assert [(patient.user_id, patient.email) for patient in exchange.patients] == [(user_id, email)]

    @pytest.mark.parametrize("response", FAILURES)
    def test_order_is_tried_again(self, exchange: Exchange, response: Response) -> None:
        with platform() as elsewhere:
            exchange.accounts = HttpAccounts(elsewhere.config())
            exchange.configure()
            elsewhere.fail("POST", response)
            exchange.receive(order("BOTH"))
            exchange.deliver()
            assert exchange.outcomes == []
            elsewhere.on_bad_days = lambda _: None
            with exchange.later(QUARTER_MINUTE):
                exchange.deliver()
            exchange.compensate()
            assert list(elsewhere.users.values()) == ["carol@mail.example"]
        assert len(exchange.patients) == 1
        assert exchange.redox.kinds == CREATED

    def test_account_that_was_made_without_an_answer_ends_up_with_the_patient(self, exchange: Exchange) -> None:
        with platform() as elsewhere:
            exchange.accounts = HttpAccounts(elsewhere.config())
            exchange.configure()
            elsewhere.fail("POST", Response(500), after=True)
            exchange.receive(order("BOTH"))
            exchange.deliver()
            assert len(elsewhere.users) == 1
            elsewhere.on_bad_days = lambda _: None
            work_on(exchange, timedelta(seconds=15))
            work_on(exchange, timedelta(seconds=30))
            exchange.compensate()
            [user_id] = elsewhere.users
        assert [patient.user_id for patient in exchange.patients] == [user_id]
        assert [result[:2] for result in exchange.results] == [("ACCOUNT_CREATION_RESULT", "SUCCESS")]

    @pytest.mark.parametrize("code", ["BOTH", "ENABLE"])
    def test_settings_that_change_while_it_is_asked_are_heeded(self, exchange: Exchange, code: str) -> None:
        """What was changed there is undone, and the order is tried again."""
        with platform() as elsewhere:
            exchange.accounts = HttpAccounts(elsewhere.config())
            exchange.configure()
            if code == "ENABLE":
                account = exchange.accounts.create_custodial(exchange.clinic_id, None)
                exchange.patient(CAROL._replace(id=account.user_id), "custodian", email=None)
            changing = [lambda: exchange.settings(procedureCodes={"disableSummaryReports": "OTHER"})]

            def change(received: Received) -> None:
                if received.method in ("POST", "PUT") and changing:
                    changing.pop()()

            elsewhere.on_bad_days = change
            exchange.receive(order(code))
            exchange.deliver()
            assert exchange.outcomes == []
            work_on(exchange, timedelta(seconds=15))
            exchange.compensate()
            assert "carol@mail.example" not in elsewhere.users.values()
        assert [outcome.state for outcome in exchange.outcomes] == [OrderState.IGNORED]
        assert [patient.email for patient in exchange.patients] == ([None] if code == "ENABLE" else [])
        assert stored(exchange.database, EhrSubscription) == []

    def test_clinic_is_told_when_it_never_works(self, exchange: Exchange) -> None:
        with platform() as elsewhere:
            exchange.accounts = HttpAccounts(elsewhere.config())
            exchange.configure()
            elsewhere.fail("POST", Response(500))
            exchange.receive(order("CREATE"))
            exchange.deliver_three_times()
        assert exchange.results == [("ACCOUNT_CREATION_RESULT", "FAILURE", TECHNICAL_PROBLEM)]
        [outcome] = exchange.outcomes
        assert (outcome.state, outcome.failure) == (OrderState.FAILED, "Another service gave no usable answer.")
        assert exchange.patients == []
