"""What the tests of failures share."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.resources.ehr.redox.relay import KINDS
from tests.ehr.exchange import Exchange
from tests.support.http_server import Response
from tests.support.relays import make_relay

ALL = ["Results/New", "Flowsheet/New", "Notes/New"]
CREATED = ["Results/New", "Notes/New"]
QUARTER_MINUTE = timedelta(seconds=15)
FAILURES = [
    pytest.param(Response(500), id="failure"),
    pytest.param(Response(403), id="refusal"),
    pytest.param(Response(302, headers={"location": "/elsewhere"}), id="redirect"),
    pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
    pytest.param(Response(raw=b""), id="hung up"),
]


def work_on(exchange: Exchange, time: timedelta) -> None:
    """Let both relays work at that time."""
    with exchange.later(time):
        make_relay(exchange.database, exchange.config, None, exchange.accounts, left_out=KINDS).deliver_due()
        exchange.deliver()
