"""The API of Xealth over HTTP, against a real server that behaves well and badly."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from clinic_service import clock, deadline
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways.xealth import (
    FetchedOrder,
    HttpXealth,
    UnconfiguredXealth,
    XealthNotConfigured,
    XealthUnreachable,
    chosen_xealth,
)
from tests.support.http_server import Received, Response, call_timeout, http_server
from tests.support.xealth_server import CLIENT_SECRET, XealthServer, xealth_server

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ORDER = {"orderInfo": {"orderId": "XO-1", "deployment": "harbour"}, "datasets": {"name": "Zoë"}}
DEPLOYMENT, ORDER_ID = "harbour", "XO-1"
READ = "GET /partner/read/order/harbour/XO-1"
WRITE = "POST /partner/write/order/harbour"

FAILURES = [
    pytest.param(Response(500), id="failure"),
    pytest.param(Response(503), id="overloaded"),
    pytest.param(Response(403), id="refusal"),
    pytest.param(Response(404), id="not there"),
    pytest.param(Response(204), id="nothing"),
    pytest.param(Response(302, headers={"location": "/v2/elsewhere"}), id="redirect"),
    pytest.param(Response(200), id="empty"),
    pytest.param(Response(200, body=b"<html>"), id="no JSON"),
    pytest.param(Response(200, json=[ORDER]), id="no object"),
    pytest.param(Response(200, body=b"[" * 100_000), id="deep"),
    pytest.param(Response(200, body=b" " * (1 << 20) + b" {}"), id="too large"),
    pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
    pytest.param(Response(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{"), id="broken off"),
    pytest.param(Response(raw=b""), id="hung up"),
    pytest.param(Response(hang=True), id="no answer"),
]


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def server() -> Iterator[XealthServer]:
    with xealth_server() as running:
        running.orders[DEPLOYMENT, ORDER_ID] = ORDER
        yield running


@pytest.fixture
def xealth(server: XealthServer, request: pytest.FixtureRequest) -> HttpXealth:
    return HttpXealth(server.config(), seconds=call_timeout(request))


def read(xealth: HttpXealth) -> FetchedOrder:
    return xealth.read_order(DEPLOYMENT, ORDER_ID)


def failure_of(xealth: HttpXealth) -> BadGateway:
    with pytest.raises(BadGateway) as failure:
        read(xealth)
    return failure.value


def test_an_order_is_read_with_the_token_that_the_credentials_get(server: XealthServer, xealth: HttpXealth) -> None:
    order = read(xealth)
    assert order.content == ORDER
    assert order.text == json.dumps(ORDER)
    assert (len(server.log_ins), server.calls) == (1, [READ])
    call = server.server.received[-1]
    assert call.headers["authorization"] == "Bearer xealth-token-1"
    assert CLIENT_SECRET not in str(call)


def test_credentials_stand_in_the_header_and_the_grant_in_the_form(server: XealthServer, xealth: HttpXealth) -> None:
    read(xealth)
    (log_in,) = server.log_ins
    assert (log_in.method, log_in.body) == ("POST", b"grant_type=client_credentials")
    assert log_in.headers["content-type"] == "application/x-www-form-urlencoded"
    # A name with a colon, encoded as the standard says (`test_an_order_is_read…` would fail otherwise).
    assert log_in.headers["authorization"].startswith("Basic ")


def test_an_order_is_placed(server: XealthServer, xealth: HttpXealth) -> None:
    placed = xealth.create_order(DEPLOYMENT, {"orderType": "enrollment"})
    assert placed == {"orderId": "XO-1"}
    assert server.placed == [(DEPLOYMENT, {"orderType": "enrollment"})]
    assert server.server.received[-1].headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [200, 201])
def test_an_order_that_is_placed_may_be_called_new(server: XealthServer, xealth: HttpXealth, status: int) -> None:
    server.answer = lambda _: Response(status, json={"orderId": "XO-9"})
    assert xealth.create_order(DEPLOYMENT, {}) == {"orderId": "XO-9"}


def test_parts_of_the_path_are_encoded(server: XealthServer, xealth: HttpXealth) -> None:
    odd = "a/b?c#d%2Fe;f é\r\n../.."
    server.orders[odd, odd] = {"found": True}
    assert xealth.read_order(odd, odd).content == {"found": True}
    encoded = "a%2Fb%3Fc%23d%252Fe%3Bf%20%C3%A9%0D%0A..%2F.."
    assert server.calls == [f"GET /partner/read/order/{encoded}/{encoded}"]


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_parts_that_would_lead_elsewhere_are_not_asked_for(server: XealthServer, xealth: HttpXealth, part: str) -> None:
    for deployment, order_id in ((part, ORDER_ID), (DEPLOYMENT, part)):
        with pytest.raises(BadGateway):
            xealth.read_order(deployment, order_id)
    with pytest.raises(BadGateway):
        xealth.create_order(part, {})
    assert server.server.received == []


class TestToken:
    def test_is_kept(self, server: XealthServer, xealth: HttpXealth) -> None:
        for _ in range(3):
            read(xealth)
        assert (len(server.log_ins), len(server.calls)) == (1, 3)

    @pytest.mark.parametrize(("seconds", "log_ins"), [(3569, 1), (3570, 2), (3600, 2)])
    def test_is_kept_until_30_seconds_before_it_expires(
        self, server: XealthServer, xealth: HttpXealth, seconds: int, log_ins: int
    ) -> None:
        read(xealth)
        with clock.frozen(NOW + timedelta(seconds=seconds)):
            read(xealth)
        assert len(server.log_ins) == log_ins

    def test_that_lives_no_longer_than_that_is_used_once(self, server: XealthServer, xealth: HttpXealth) -> None:
        server.expires_in = 30
        read(xealth)
        read(xealth)
        assert len(server.log_ins) == 2

    def test_whose_life_is_not_told_is_kept_until_it_is_refused(self, server: XealthServer, xealth: HttpXealth) -> None:
        server.expires_in = None
        read(xealth)
        with clock.frozen(NOW + timedelta(days=30)):
            read(xealth)
        assert len(server.log_ins) == 1

    def test_that_is_refused_early_is_renewed_once(self, server: XealthServer, xealth: HttpXealth) -> None:
        read(xealth)
        server.tokens = ["xealth-token-2"]
        assert read(xealth).content == ORDER
        assert (len(server.log_ins), len(server.calls)) == (2, 3)

    def test_renewed_serves_placing_an_order_as_well(self, server: XealthServer, xealth: HttpXealth) -> None:
        read(xealth)
        server.tokens = ["xealth-token-2"]
        xealth.create_order(DEPLOYMENT, {})
        assert len(server.placed) == 1

    def test_that_is_refused_again_is_a_refusal(self, server: XealthServer, xealth: HttpXealth) -> None:
        server.answer = lambda _: Response(401)
        assert failure_of(xealth).status == 502
        assert (len(server.log_ins), len(server.calls)) == (2, 2)

    def test_is_fetched_once_for_all_threads(self, server: XealthServer, xealth: HttpXealth) -> None:
        threads = [threading.Thread(target=read, args=(xealth,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(server.log_ins), len(server.calls)) == (1, 5)

    @pytest.mark.parametrize("response", [*FAILURES, pytest.param(Response(401), id="wrong credentials")])
    def test_that_cannot_be_had(self, server: XealthServer, xealth: HttpXealth, response: Response) -> None:
        server.grant = lambda _: response
        assert failure_of(xealth).status == 502
        assert server.calls == []

    @pytest.mark.parametrize(
        "granted",
        [
            {},
            {"access_token": ""},
            {"access_token": None},
            {"access_token": 4711},
            {"access_token": "a\r\nb: c"},
            {"access_token": "ü"},
            {"access_token": "t", "token_type": "mac"},
            {"access_token": "t", "expires_in": "3600"},
            {"access_token": "t", "expires_in": True},
            {"access_token": "t", "expires_in": -1},
            {"access_token": "t", "expires_in": 10**30},
        ],
        ids=str,
    )
    def test_that_makes_no_sense(self, server: XealthServer, xealth: HttpXealth, granted: dict[str, Any]) -> None:
        server.grant = lambda _: Response(200, body=json.dumps(granted).encode())
        assert failure_of(xealth).status == 502
        assert server.calls == []

    def test_is_fetched_again_after_a_failure(self, server: XealthServer, xealth: HttpXealth) -> None:
        healthy = server.grant
        server.grant = lambda _: Response(500)
        failure_of(xealth)
        server.grant = healthy
        assert read(xealth).content == ORDER


@pytest.mark.parametrize("response", FAILURES)
def test_an_answer_that_is_no_order(server: XealthServer, xealth: HttpXealth, response: Response) -> None:
    server.answer = lambda _: response
    assert failure_of(xealth).status == 502
    # A question may be asked twice, and a redirect is not followed.
    assert server.calls in ([READ], [READ] * 2)


@pytest.mark.parametrize("response", FAILURES)
def test_an_order_that_may_have_been_placed_is_not_placed_again(
    server: XealthServer, xealth: HttpXealth, response: Response
) -> None:
    server.answer = lambda _: response
    with pytest.raises(BadGateway):
        xealth.create_order(DEPLOYMENT, {})
    assert server.calls == [WRITE]


def test_nobody_listens(server: XealthServer) -> None:
    with http_server(lambda _: Response()) as gone:
        url = gone.url
    for config in (server.config(xealth_server_base_url=url), server.config(xealth_token_url=url)):
        assert isinstance(failure_of(HttpXealth(config)), XealthUnreachable)


def test_the_deadline_of_the_request_holds(server: XealthServer, xealth: HttpXealth) -> None:
    with deadline.limited(5), clock.advanced(5):
        assert isinstance(failure_of(xealth), XealthUnreachable)
    assert server.server.received == []


def _give(response: Response, _: Received) -> Response:
    return response


def test_nothing_of_it_gets_into_a_log_or_an_error(
    server: XealthServer, xealth: HttpXealth, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [repr(read(xealth))]
    for response in (Response(500), Response(401), Response(200, body=b"Zoe"), Response(raw=b"Zoe\r\n\r\n")):
        server.answer = partial(_give, response)
        shown += [str(failure_of(xealth)), repr(failure_of(xealth))]
    written = capsys.readouterr()
    for secret in (CLIENT_SECRET, "xealth-token-1", ORDER_ID, "Zo"):
        assert secret not in caplog.text + written.out + written.err + "".join(shown)


def test_the_configuration_decides(server: XealthServer) -> None:
    config = server.config()
    assert isinstance(chosen_xealth(config), HttpXealth)
    off = chosen_xealth(replace(config, xealth_enabled=False))
    assert isinstance(off, UnconfiguredXealth)
    for ask in (lambda: off.read_order(DEPLOYMENT, ORDER_ID), lambda: off.create_order(DEPLOYMENT, {})):
        with pytest.raises(XealthNotConfigured):
            ask()


@pytest.mark.parametrize("setting", ["xealth_token_url", "xealth_server_base_url"])
@pytest.mark.parametrize("url", ["xealth.io", "ftp://xealth.io", "https://", "http://[::1"])
def test_addresses_that_cannot_be_called(server: XealthServer, setting: str, url: str) -> None:
    with pytest.raises(ConfigError, match=f"CLINIC_{setting.upper()}"):
        HttpXealth(server.config(**{setting: url}))


@pytest.mark.parametrize("name", ["xealth_bearer_token", "xealth_client_id", "xealth_client_secret", "application_url"])
def test_what_is_needed_when_it_is_switched_on(server: XealthServer, name: str) -> None:
    with pytest.raises(ConfigError, match=f"CLINIC_XEALTH_ENABLED needs .*CLINIC_{name.upper()}"):
        server.config(**{name: None})
    assert Config().xealth_enabled is False


def test_the_test_server_refuses_wrong_credentials(server: XealthServer, xealth: HttpXealth) -> None:
    """So that a client that sends wrong ones cannot pass the other tests."""
    wrong = Received("POST", "/oauth2/token", {"authorization": "Basic eDp5"}, b"grant_type=client_credentials")
    assert server.grant(wrong).status == 401
    assert server.carry_out(Received("GET", "/v2/partner/read/order/harbour/XO-1", {}, b"")).status == 401
    assert read(xealth).content == ORDER
