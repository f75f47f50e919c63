"""Counterparts that fail while an order is carried out and answered, on both engines and against real servers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock, deadline
from clinic_service.errors import Unavailable
from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.gateways.redox import HttpRedox
from clinic_service.gateways.reports import ReportRequest
from clinic_service.models import EhrSubscription, MatchedMessage, OrderOutcome, OrderState, SentMessage
from clinic_service.outbox.queue import Queue
from clinic_service.outbox.relay import CLAIMED_FOR
from clinic_service.resources.ehr.redox.relay import KINDS, SECONDS, RedoxRelay
from clinic_service.unit_of_work import writing
from tests.ehr.exchange import Exchange
from tests.ehr.failing import ALL, FAILURES, QUARTER_MINUTE
from tests.ehr.orders import order
from tests.support.cast import CAROL
from tests.support.http_server import Received, Response
from tests.support.platform import platform
from tests.support.redox import PDF, REFUSED, TAKEN, Redox, in_turn
from tests.support.relays import make_relay
from tests.support.rows import make_patient, stored, storing
from tests.support.statements import counting


def _attempts(exchange: Exchange) -> list[tuple[int, bool]]:
    """How often each event was tried in vain, and whether it is done."""
    return [(event.attempts, event.delivered_time is not None) for event in exchange.events]


def _fail_once(exchange: Exchange, part: str, response: Response) -> None:
    """Let one of Redox's parts, or the export service, answer like this once, and then as usual."""
    usual: Callable[[Received], Response] = getattr(exchange.redox, part)
    answers = [lambda _: response]
    setattr(exchange.redox, part, lambda received: answers.pop()(received) if answers else usual(received))


class TestFailureOfEachCounterpart:
    @pytest.mark.parametrize("part", ["token", "endpoint", "report", "blob"])
    @pytest.mark.parametrize("response", FAILURES)
    def test_the_order_is_answered_after_15_seconds(self, exchange: Exchange, part: str, response: Response) -> None:
        exchange.configure(redox_upload_file_enabled=True)
        patient = exchange.patient()
        exchange.receive()
        _fail_once(exchange, part, response)
        assert exchange.deliver() == 0
        assert _attempts(exchange) == [(1, False)]
        assert [outcome.state for outcome in exchange.outcomes] == [OrderState.PENDING]
        with exchange.later(QUARTER_MINUTE - timedelta(milliseconds=1)):
            assert exchange.deliver() == 0
        with exchange.later(QUARTER_MINUTE):
            assert exchange.deliver() == 1
        assert [outcome.state for outcome in exchange.outcomes] == [OrderState.ANSWERED]
        assert [row.data_model for row in _sent(exchange)] == ["Flowsheet", "Notes", "Results"]
        assert [(row.patient_id, row.active) for row in stored(exchange.database, EhrSubscription)] == [
            (patient.id, True)
        ]
        assert len(stored(exchange.database, MatchedMessage)) == 1

    @pytest.mark.parametrize("taken", [0, 1, 2])
    def test_what_was_taken_is_not_sent_again(self, exchange: Exchange, taken: int) -> None:
        exchange.patient()
        exchange.receive()
        exchange.redox.endpoint = in_turn(*[TAKEN] * taken, REFUSED, TAKEN)
        exchange.deliver()
        with exchange.later(QUARTER_MINUTE):
            exchange.deliver()
        assert exchange.redox.kinds == [*ALL[: taken + 1], *ALL[taken:]]

    def test_token_that_expires_early_is_renewed(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()

        def expire(_: Received) -> Response:
            exchange.redox.valid.clear()
            return TAKEN

        exchange.redox.endpoint = expire
        assert exchange.deliver() == 1
        # A refused message was not taken.
        assert exchange.redox.kinds == ["Results/New", "Flowsheet/New", "Flowsheet/New", "Notes/New", "Notes/New"]
        assert exchange.redox.paths.count("/token") == 3

    def test_after_three_attempts_the_order_has_failed(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()
        exchange.redox.report = in_turn(Response(500))
        exchange.deliver_three_times()
        [outcome] = exchange.outcomes
        assert (outcome.state, outcome.failure) == (OrderState.FAILED, "Another service gave no usable answer.")
        assert _attempts(exchange) == [(2, True)]
        assert [event.last_error for event in exchange.events] == [outcome.failure]
        exchange.redox.report = in_turn(Response(200, body=PDF))
        with exchange.later(timedelta(hours=1)):
            assert exchange.deliver() == 0
        assert exchange.redox.kinds == ["Results/New"]
        assert len(exchange.redox.reports) == 3

    def test_reason_tells_what_redox_answered(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()
        exchange.redox.endpoint = in_turn(Response(400))
        exchange.deliver_three_times()
        assert [outcome.failure for outcome in exchange.outcomes] == ["Redox answered with status 400."]

    def test_one_patient_does_not_hold_up_others(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()
        exchange.redox.report = in_turn(Response(500))
        exchange.deliver()
        exchange.receive(order("DISABLE"))
        assert exchange.deliver() == 1


def _sent(exchange: Exchange) -> list[SentMessage]:
    return sorted(stored(exchange.database, SentMessage), key=lambda row: row.data_model)


class TestSettingsThatDoNotSuffice:
    def test_without_destinations_nothing_can_be_answered(self, exchange: Exchange) -> None:
        exchange.settings(destinationIds=None)
        patient = exchange.patient()
        exchange.receive()
        exchange.deliver()
        [outcome] = exchange.outcomes
        assert (outcome.state, outcome.failure) == (
            OrderState.FAILED,
            "The EHR settings of the clinic name no destinations.",
        )
        # Trying again would end alike.
        assert _attempts(exchange) == [(0, True)]
        # The order is carried out all the same, so that reports follow as soon as there are destinations.
        assert [(row.patient_id, row.active) for row in stored(exchange.database, EhrSubscription)] == [
            (patient.id, True)
        ]

    def test_clinic_is_switched_off_before_the_answer(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()
        exchange.redox.endpoint = in_turn(REFUSED)
        exchange.deliver()
        with storing(exchange.database) as unit:
            unit.clinics.get(exchange.clinic_id).ehr_enabled = False
        with exchange.later(QUARTER_MINUTE):
            exchange.deliver()
        [outcome] = exchange.outcomes
        assert outcome.state == OrderState.FAILED
        assert exchange.redox.kinds == ["Results/New"]

    def test_patient_is_gone_before_the_report(self, exchange: Exchange) -> None:
        exchange.patient()
        exchange.receive()
        exchange.redox.endpoint = in_turn(REFUSED, TAKEN)
        exchange.deliver()
        with storing(exchange.database) as unit:
            unit.patients.remove(unit.patients.all_of_user(CAROL.id), None)
        with exchange.later(QUARTER_MINUTE):
            exchange.deliver()
        assert [outcome.state for outcome in exchange.outcomes] == [OrderState.ANSWERED]
        assert exchange.redox.kinds == ["Results/New", "Results/New"]

    def test_record_without_a_date_of_birth_has_no_report(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.receive()
        exchange.redox.endpoint = in_turn(REFUSED, TAKEN)
        exchange.deliver()
        with storing(exchange.database) as unit:
            unit.patients.get(exchange.clinic_id, patient.user_id).birth_date = None
        with exchange.later(QUARTER_MINUTE):
            exchange.deliver()
        assert [outcome.failure for outcome in exchange.outcomes] == [
            "The record of the patient has no name or no date of birth."
        ]


class TestOutside:
    def test_nothing_is_called_while_a_transaction_is_open(self, exchange: Exchange) -> None:
        """Somebody else can write meanwhile, also to the rows that the order is about."""
        with platform() as elsewhere:
            exchange.accounts = HttpAccounts(elsewhere.config())
            exchange.configure(redox_upload_file_enabled=True)
            exchange.receive(order("BOTH"))
            called: list[str] = []

            def write(name: str) -> None:
                with writing(exchange.database) as unit:
                    unit.clinics.lock(exchange.clinic_id)
                    called.append(name)

            for part in ("token", "endpoint", "report", "blob"):
                self._before(exchange.redox, part, write)
            elsewhere.on_bad_days = lambda _: write("accounts")
            assert exchange.deliver() == 1
        assert set(called) == {"token", "endpoint", "report", "blob", "accounts"}

    @staticmethod
    def _before(redox: Redox, part: str, act: Callable[[str], None]) -> None:
        usual = getattr(redox, part)

        def answer(received: Received) -> Response:
            act(part)
            response: Response = usual(received)
            return response

        setattr(redox, part, answer)

    def test_each_attempt_has_three_minutes(self, exchange: Exchange) -> None:
        left: list[float | None] = []

        class Measuring:
            def generate(self, _: ReportRequest) -> bytes:
                left.append(deadline.remaining())
                return PDF

        redox = HttpRedox(exchange.config)
        relay = RedoxRelay(exchange.database, exchange.config, exchange.accounts, redox, Measuring())
        exchange.patient()
        exchange.receive()
        assert relay.deliver_due() == 1
        [seconds] = left
        assert seconds is not None
        assert SECONDS - 60 < seconds <= SECONDS < CLAIMED_FOR.total_seconds()

    def test_attempt_that_takes_longer_is_ended_and_made_again(self, exchange: Exchange) -> None:
        class Slow:
            def generate(self, _: ReportRequest) -> bytes:
                with clock.advanced(SECONDS):
                    deadline.remaining()
                return PDF

        redox = HttpRedox(exchange.config)
        exchange.relay = RedoxRelay(exchange.database, exchange.config, exchange.accounts, redox, Slow())
        exchange.patient()
        exchange.receive()
        assert exchange.deliver() == 0
        assert _attempts(exchange) == [(1, False)]
        assert exchange.redox.kinds == ["Results/New"]
        exchange.configure()
        with exchange.later(QUARTER_MINUTE):
            assert exchange.deliver() == 1
        assert exchange.redox.kinds == ALL


class TestPersonalData:
    CANARIES = ("Cooper", "1987-04-12", "MRN-20417", "carol@mail", "gail@mail", "157968300", "V-77")

    @pytest.mark.parametrize("part", ["token", "endpoint", "report", "blob"])
    def test_no_log_line_and_no_reason_holds_any(
        self, exchange: Exchange, part: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        exchange.configure(redox_upload_file_enabled=True)
        exchange.patient()
        answer = Response(400, json={"message": "Carol Cooper, born 1987-04-12, is not known"})
        setattr(exchange.redox, part, in_turn(answer))
        exchange.receive()
        exchange.deliver_three_times()
        assert any(record.message == "delivery_given_up" for record in caplog.records)
        written = [str(vars(record)) for record in caplog.records if record.name.startswith(("clinic_service", "http"))]
        written += [str(event.last_error) + str(event.payload) for event in exchange.events]
        written += [f"{outcome.failure} {outcome.explanation}" for outcome in exchange.outcomes]
        assert [text for text in written if any(canary in text for canary in self.CANARIES)] == []


def test_unexpected_failure_is_named_by_its_kind(exchange: Exchange) -> None:
    class Broken:
        def generate(self, _: ReportRequest) -> bytes:
            raise KeyError("Carol Cooper")

    redox = HttpRedox(exchange.config)
    exchange.relay = RedoxRelay(exchange.database, exchange.config, exchange.accounts, redox, Broken())
    exchange.patient()
    exchange.receive()
    exchange.deliver_three_times()
    assert [outcome.failure for outcome in exchange.outcomes] == ["KeyError"]


def test_event_that_cannot_even_be_given_up_holds_nothing_up(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError

    monkeypatch.setattr("clinic_service.resources.ehr.redox.outcomes.OrderOutcomes.find_order", fail)
    exchange.receive()
    exchange.deliver_three_times()
    assert _attempts(exchange) == [(2, True)]


def test_event_is_given_up_later_when_the_database_is_gone_meanwhile(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.patient()
    exchange.receive()
    exchange.redox.report = in_turn(Response(500))
    for number in range(2):
        with exchange.later(number * QUARTER_MINUTE):
            exchange.deliver()

    def fail(*_: Any) -> None:
        raise Unavailable

    monkeypatch.setattr("clinic_service.resources.ehr.redox.outcomes.OrderOutcomes.end", fail)
    with exchange.later(2 * QUARTER_MINUTE), pytest.raises(Unavailable):
        exchange.deliver()
    monkeypatch.undo()
    assert _attempts(exchange) == [(2, False)]
    with exchange.later(2 * QUARTER_MINUTE + CLAIMED_FOR):
        exchange.deliver()
    assert _attempts(exchange) == [(2, True)]
    assert [outcome.state for outcome in exchange.outcomes] == [OrderState.FAILED]


def test_two_relays_share_the_work(exchange: Exchange) -> None:
    exchange.patient()
    exchange.receive()
    other = exchange.new_relay()
    meanwhile: list[int] = []

    def answer(_: Received) -> Response:
        meanwhile.append(other.deliver_due())
        return TAKEN

    exchange.redox.endpoint = answer
    assert exchange.deliver() == 1
    assert meanwhile == [0, 0, 0]
    assert exchange.redox.kinds == ALL


def test_what_the_other_relay_delivers_is_left_alone(exchange: Exchange) -> None:
    exchange.patient()
    exchange.receive(order("CREATE"))
    assert make_relay(exchange.database, exchange.config, None, exchange.accounts, left_out=KINDS).deliver_due() == 0
    with writing(exchange.database) as unit:
        assert len(Queue(unit).list_due_of(KINDS, 10)) == 1


def test_where_redox_is_switched_off_its_events_are_notices(exchange: Exchange) -> None:
    exchange.patient()
    exchange.receive()
    assert make_relay(exchange.database, exchange.config, None, exchange.accounts).deliver_due() == 1
    assert _attempts(exchange) == [(0, True)]
    assert exchange.deliver() == 0
    assert stored(exchange.database, OrderOutcome) == []


def test_answering_costs_the_same_however_many_patients_the_clinic_has(exchange: Exchange) -> None:
    exchange.patient()
    exchange.receive()
    with counting(exchange.database) as first:
        exchange.deliver()
    with storing(exchange.database) as unit:
        clinic = unit.clinics.get(exchange.clinic_id)
        for number in range(30):
            make_patient(unit, clinic, CAROL._replace(id=f"{number:010x}"), mrn=f"other {number}")
    made = order()
    made["Meta"]["Logs"] = []
    exchange.receive(made)
    with counting(exchange.database) as second:
        exchange.deliver()
    assert len(second) <= len(first)
