"""The accounts and profiles services over HTTP, against a real server that behaves well and badly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clinic_service import clock, deadline
from clinic_service.config import ConfigError
from clinic_service.deadline import DeadlineExceeded
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways.accounts import Account, Profile
from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.gateways.breaker import PAUSE_SECONDS, CircuitOpen
from clinic_service.gateways.server_token import SESSION_HEADER
from tests.gateways.accounts_platform import ACCOUNT, CAROL, CLINIC_ID, USER_ID, Platform, always, platform_config
from tests.support.http_server import Received, Response, call_timeout, http_server

FAILURES = [
    pytest.param(Response(500), BadGateway, id="failure"),
    pytest.param(Response(403), BadGateway, id="refusal"),
    pytest.param(Response(302, headers={"location": "/user"}), BadGateway, id="redirect"),
    pytest.param(Response(201, body=b"<html>"), BadGateway, id="no JSON"),
    pytest.param(Response(201, json=[CAROL]), BadGateway, id="no object"),
    pytest.param(Response(raw=b"garbage\r\n\r\n"), BadGateway, id="no HTTP"),
    pytest.param(Response(raw=b""), Unavailable, id="hung up"),
    pytest.param(Response(hang=True), Unavailable, id="no answer"),
]


@pytest.fixture
def platform() -> Iterator[Platform]:
    with http_server(lambda _: Response(404)) as server:
        yield Platform(server)


@pytest.fixture
def accounts(platform: Platform, request: pytest.FixtureRequest) -> HttpAccounts:
    return HttpAccounts(platform_config(platform.server.url), seconds=call_timeout(request))


def _in_turn(*responses: Response) -> Callable[[Received], Response]:
    remaining = list(responses)
    return lambda _: remaining.pop(0)


def test_account_is_found_in_this_servers_name(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, json=CAROL))
    assert accounts.find_account(USER_ID) == ACCOUNT
    assert platform.calls == ["POST /serverlogin", f"GET /user/{USER_ID}"]
    log_in, question = platform.server.received
    assert log_in.headers["x-tidepool-server-name"] == "clinic"
    assert log_in.headers["x-tidepool-server-secret"] == "server secret"
    assert question.headers[SESSION_HEADER] == "token-1"
    assert "x-tidepool-server-secret" not in question.headers


def test_token_is_kept(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, json=CAROL))
    for _ in range(3):
        accounts.find_account(USER_ID)
    assert platform.calls.count("POST /serverlogin") == 1


def test_refused_token_is_renewed_once(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, json=CAROL))
    accounts.find_account(USER_ID)
    platform.log_in = Response(200, headers={SESSION_HEADER: "token-2"})
    platform.answer = lambda received: (
        Response(200, json=CAROL) if received.headers[SESSION_HEADER] == "token-2" else Response(401)
    )
    assert accounts.find_account(USER_ID) == ACCOUNT
    assert platform.calls.count("POST /serverlogin") == 2


def test_token_refused_again_is_a_refusal(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(401))
    with pytest.raises(BadGateway):
        accounts.find_account(USER_ID)
    assert platform.calls == ["POST /serverlogin", f"GET /user/{USER_ID}"] * 2


def test_renewal_serves_changes_as_well(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _in_turn(Response(401), Response(201, json=CAROL))
    assert accounts.create_custodial(CLINIC_ID, "carol@mail.example") == ACCOUNT


def test_threads_log_in_once(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, json=CAROL))
    threads = [threading.Thread(target=accounts.find_account, args=(USER_ID,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert platform.calls.count("POST /serverlogin") == 1
    assert platform.calls.count(f"GET /user/{USER_ID}") == 5


def test_nobody_waits_for_the_log_in_of_another_longer_than_their_own_request_may_take(platform: Platform) -> None:
    accounts = HttpAccounts(platform_config(platform.server.url))
    asked, let_go = threading.Event(), threading.Event()

    def answer(received: Received) -> Response:
        if received.path == "/serverlogin":
            asked.set()
            let_go.wait(10)
            return platform.log_in
        return Response(200, json=CAROL)

    platform.server.answer = answer
    found: list[Account | None] = []
    first = threading.Thread(target=lambda: found.append(accounts.find_account(USER_ID)))
    first.start()
    assert asked.wait(10)
    with deadline.limited(0.05), pytest.raises(DeadlineExceeded):
        accounts.find_account(USER_ID)
    let_go.set()
    first.join()
    assert found == [ACCOUNT]
    assert platform.calls.count("POST /serverlogin") == 1


def test_services_that_give_no_answer_are_left_alone_each_by_itself(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = lambda received: Response(raw=b"") if "profile" in received.path else Response(200, json=CAROL)
    while not isinstance(_failure_of(accounts), CircuitOpen):
        assert len(platform.calls) < 20
    before = len(platform.calls)
    assert isinstance(_failure_of(accounts), CircuitOpen)
    assert len(platform.calls) == before
    assert accounts.find_account(USER_ID) == ACCOUNT
    platform.answer = always(Response(200, json={"fullName": "Carol Cooper"}))
    with clock.advanced(PAUSE_SECONDS):
        assert accounts.find_profile(USER_ID).full_name == "Carol Cooper"


def _failure_of(accounts: HttpAccounts) -> Unavailable:
    with pytest.raises(Unavailable) as failure:
        accounts.find_profile(USER_ID)
    return failure.value


def test_profiles_are_asked_for_within_the_deadline_of_the_request(platform: Platform, accounts: HttpAccounts) -> None:
    """The threads that ask for several at a time have it as well."""
    accounts.find_account(USER_ID)
    before = len(platform.calls)
    with deadline.limited(5), clock.advanced(5), pytest.raises(DeadlineExceeded):
        accounts.find_profiles({USER_ID})
    assert len(platform.calls) == before


@pytest.mark.parametrize(
    ("response", "error"),
    [
        pytest.param(Response(401), BadGateway, id="refused"),
        pytest.param(Response(200), BadGateway, id="no token"),
        pytest.param(Response(500), BadGateway, id="failure"),
        pytest.param(Response(hang=True), Unavailable, id="no answer"),
    ],
)
def test_log_in_that_fails(
    platform: Platform, accounts: HttpAccounts, response: Response, error: type[Exception]
) -> None:
    platform.log_in = response
    with pytest.raises(error) as failure:
        accounts.find_account(USER_ID)
    assert "server secret" not in str(failure.value)
    platform.log_in = Response(200, headers={SESSION_HEADER: "token-1"})
    assert accounts.find_account(USER_ID) is None


@pytest.mark.parametrize("status", [404, 204])
def test_unknown_user_is_nobody(platform: Platform, accounts: HttpAccounts, status: int) -> None:
    platform.answer = always(Response(status))
    assert accounts.find_account(USER_ID) is None
    assert accounts.find_by_email("carol@mail.example") is None
    assert accounts.find_profile(USER_ID) == Profile()


def test_address_is_asked_for_in_lower_case_and_encoded(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, json=CAROL))
    assert accounts.find_by_email("Carol+a/b?c#d%@Mail.example") == ACCOUNT
    assert platform.last.path == "/user/carol%2Ba%2Fb%3Fc%23d%25%40mail.example"


@pytest.mark.parametrize("first", [Response(500), Response(503), Response(raw=b""), Response(hang=True)])
def test_question_is_asked_a_second_time(platform: Platform, accounts: HttpAccounts, first: Response) -> None:
    platform.answer = _in_turn(first, Response(200, json=CAROL))
    assert accounts.find_account(USER_ID) == ACCOUNT


@pytest.mark.parametrize(("response", "error"), FAILURES)
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda accounts: accounts.find_account(USER_ID), id="find_account"),
        pytest.param(lambda accounts: accounts.find_by_email("carol@mail.example"), id="find_by_email"),
        pytest.param(lambda accounts: accounts.find_profile(USER_ID), id="find_profile"),
    ],
)
def test_question_without_a_usable_answer(
    platform: Platform,
    accounts: HttpAccounts,
    ask: Callable[[HttpAccounts], object],
    response: Response,
    error: type[Exception],
) -> None:
    platform.answer = always(response)
    with pytest.raises(error):
        ask(accounts)
    assert len(platform.calls) <= 3


@pytest.mark.parametrize(("response", "error"), FAILURES)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda accounts: accounts.create_custodial(CLINIC_ID, None), id="create_custodial"),
        pytest.param(lambda accounts: accounts.update_custodial_email(USER_ID, None), id="update_custodial_email"),
    ],
)
def test_change_that_fails_is_not_repeated(
    platform: Platform,
    accounts: HttpAccounts,
    change: Callable[[HttpAccounts], object],
    response: Response,
    error: type[Exception],
) -> None:
    platform.answer = always(response)
    with pytest.raises(error):
        change(accounts)
    assert len(platform.calls) == 2


def test_nobody_there_is_unavailable() -> None:
    with http_server(lambda _: Response(404)) as gone:
        url = gone.url
    with pytest.raises(Unavailable):
        HttpAccounts(platform_config(url)).find_account(USER_ID)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"userid": 7},
        {"userid": "../admin"},
        CAROL | {"userid": "0000000000"},
    ],
)
def test_account_of_somebody_else_or_nobody_is_refused(
    platform: Platform, accounts: HttpAccounts, document: dict[str, Any]
) -> None:
    platform.answer = always(Response(200, json=document))
    with pytest.raises(BadGateway):
        accounts.find_account(USER_ID)


def test_account_may_have_an_id_alone(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = always(Response(200, json={"userid": USER_ID, "emails": None}))
    assert accounts.find_account(USER_ID) == Account(USER_ID)


def test_made_up_address_is_not_shown(platform: Platform, accounts: HttpAccounts) -> None:
    made_up = "unclaimed-custodial-automation+01234567890123456789@tidepool.org"
    platform.answer = always(Response(200, json={"userid": USER_ID, "username": made_up, "emails": [made_up]}))
    assert accounts.find_account(USER_ID) == Account(USER_ID)


@pytest.mark.parametrize("url", ["accounts.example", "ftp://accounts.example"])
def test_address_that_cannot_be_called_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="CLINIC_ACCOUNTS_URL"):
        HttpAccounts(platform_config(url))
