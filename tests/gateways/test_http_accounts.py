"""The accounts and profiles services over HTTP, against a real server that behaves well and badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clinic_service import clock, deadline
from clinic_service.config import Config, ConfigError
from clinic_service.deadline import DeadlineExceeded
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways.accounts import Account, AccountNotFound, EmailTaken, Profile
from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.gateways.breaker import PAUSE_SECONDS, CircuitOpen
from clinic_service.gateways.server_token import SESSION_HEADER
from tests.support.http_server import HttpServer, Received, Response, call_timeout, http_server

USER_ID = "ca401c0003"
CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"
CAROL = {
    "userid": USER_ID,
    "username": "Carol@Mail.example",
    "emails": ["Carol@Mail.example", "carol@work.example"],
    "roles": ["clinician"],
    "emailVerified": True,
}
ACCOUNT = Account(USER_ID, "carol@mail.example", ("carol@mail.example", "carol@work.example"), ("clinician",))
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


class Platform:
    """The two services: logs callers in, and lets `answer` decide about everything else."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.answer: Callable[[Received], Response] = lambda _: Response(404)
        self.log_in = Response(200, headers={SESSION_HEADER: "token-1"})
        server.answer = lambda received: self.log_in if received.path == "/serverlogin" else self.answer(received)

    @property
    def calls(self) -> list[str]:
        return [f"{received.method} {received.path}" for received in self.server.received]

    @property
    def last(self) -> Received:
        return self.server.received[-1]


@pytest.fixture
def platform() -> Iterator[Platform]:
    with http_server(lambda _: Response(404)) as server:
        yield Platform(server)


@pytest.fixture
def accounts(platform: Platform, request: pytest.FixtureRequest) -> HttpAccounts:
    return HttpAccounts(_config(platform.server.url), seconds=call_timeout(request))


def _config(url: str) -> Config:
    return Config(
        accounts_url=f"{url}/",
        profiles_url=f"{url}/metadata",
        accounts_server_name="clinic",
        accounts_server_secret="server secret",
    )


def _always(response: Response) -> Callable[[Received], Response]:
    return lambda _: response


def _in_turn(*responses: Response) -> Callable[[Received], Response]:
    remaining = list(responses)
    return lambda _: remaining.pop(0)


def test_account_is_found_in_this_servers_name(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, json=CAROL))
    assert accounts.find_account(USER_ID) == ACCOUNT
    assert platform.calls == ["POST /serverlogin", f"GET /user/{USER_ID}"]
    log_in, question = platform.server.received
    assert log_in.headers["x-tidepool-server-name"] == "clinic"
    assert log_in.headers["x-tidepool-server-secret"] == "server secret"
    assert question.headers[SESSION_HEADER] == "token-1"
    assert "x-tidepool-server-secret" not in question.headers


def test_token_is_kept(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, json=CAROL))
    for _ in range(3):
        accounts.find_account(USER_ID)
    assert platform.calls.count("POST /serverlogin") == 1


def test_refused_token_is_renewed_once(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, json=CAROL))
    accounts.find_account(USER_ID)
    platform.log_in = Response(200, headers={SESSION_HEADER: "token-2"})
    platform.answer = lambda received: (
        Response(200, json=CAROL) if received.headers[SESSION_HEADER] == "token-2" else Response(401)
    )
    assert accounts.find_account(USER_ID) == ACCOUNT
    assert platform.calls.count("POST /serverlogin") == 2


def test_token_refused_again_is_a_refusal(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(401))
    with pytest.raises(BadGateway):
        accounts.find_account(USER_ID)
    assert platform.calls == ["POST /serverlogin", f"GET /user/{USER_ID}"] * 2


def test_renewal_serves_changes_as_well(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _in_turn(Response(401), Response(201, json=CAROL))
    assert accounts.create_custodial(CLINIC_ID, "carol@mail.example") == ACCOUNT


def test_threads_log_in_once(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, json=CAROL))
    threads = [threading.Thread(target=accounts.find_account, args=(USER_ID,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert platform.calls.count("POST /serverlogin") == 1
    assert platform.calls.count(f"GET /user/{USER_ID}") == 5


def test_nobody_waits_for_the_log_in_of_another_longer_than_their_own_request_may_take(platform: Platform) -> None:
    accounts = HttpAccounts(_config(platform.server.url))
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
    platform.answer = _always(Response(200, json={"fullName": "Carol Cooper"}))
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
    platform.answer = _always(Response(status))
    assert accounts.find_account(USER_ID) is None
    assert accounts.find_by_email("carol@mail.example") is None
    assert accounts.find_profile(USER_ID) == Profile()


def test_address_is_asked_for_in_lower_case_and_encoded(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, json=CAROL))
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
    platform.answer = _always(response)
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
    platform.answer = _always(response)
    with pytest.raises(error):
        change(accounts)
    assert len(platform.calls) == 2


def test_nobody_there_is_unavailable() -> None:
    with http_server(lambda _: Response(404)) as gone:
        url = gone.url
    with pytest.raises(Unavailable):
        HttpAccounts(_config(url)).find_account(USER_ID)


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
    platform.answer = _always(Response(200, json=document))
    with pytest.raises(BadGateway):
        accounts.find_account(USER_ID)


def test_account_may_have_an_id_alone(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, json={"userid": USER_ID, "emails": None}))
    assert accounts.find_account(USER_ID) == Account(USER_ID)


def test_made_up_address_is_not_shown(platform: Platform, accounts: HttpAccounts) -> None:
    made_up = "unclaimed-custodial-automation+01234567890123456789@tidepool.org"
    platform.answer = _always(Response(200, json={"userid": USER_ID, "username": made_up, "emails": [made_up]}))
    assert accounts.find_account(USER_ID) == Account(USER_ID)


def test_profile(platform: Platform, accounts: HttpAccounts) -> None:
    patient = {
        "fullName": "Cody Cooper",
        "birthday": "1987-04-12",
        "mrn": "MRN-20417",
        "targetDevices": ["dexcom"],
        "email": "cody@mail.example",
    }
    platform.answer = _always(Response(200, json={"fullName": "Carol Cooper", "patient": patient}))
    assert accounts.find_profile(USER_ID) == Profile(
        "Carol Cooper", "Cody Cooper", "1987-04-12", "MRN-20417", ("dexcom",)
    )
    assert platform.calls[-1] == f"GET /metadata/{USER_ID}/profile"


def test_profile_of_somebody_who_acts_for_a_patient(platform: Platform, accounts: HttpAccounts) -> None:
    patient = {"isOtherPerson": True, "diagnosisDate": "2001-09-18"}
    platform.answer = _always(Response(200, json={"patient": patient}))
    assert accounts.find_profile(USER_ID) == Profile(diagnosis_date="2001-09-18", is_other_person=True)


def test_profiles_of_several_users(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, json={"fullName": "Carol Cooper"}))
    ids = {USER_ID, *(f"{number:010x}" for number in range(20))}
    assert accounts.find_profiles(ids) == dict.fromkeys(ids, Profile("Carol Cooper"))
    assert {f"GET /metadata/{user_id}/profile" for user_id in ids} <= set(platform.calls)
    assert accounts.find_profiles(set()) == {}


@pytest.mark.parametrize(
    "document",
    [{}, {"fullName": " ", "patient": None}, {"patient": []}, {"patient": {"mrn": "", "birthday": ""}}],
)
def test_profile_that_says_nothing(platform: Platform, accounts: HttpAccounts, document: dict[str, Any]) -> None:
    platform.answer = _always(Response(200, json=document))
    assert accounts.find_profile(USER_ID) == Profile()


@pytest.mark.parametrize("birthday", ["12.04.1987", "1987-02-30", "19870412", "1987-4-12", "0000-01-01"])
def test_birthday_that_is_no_date_counts_as_none(platform: Platform, accounts: HttpAccounts, birthday: str) -> None:
    platform.answer = _always(Response(200, json={"patient": {"birthday": birthday}}))
    assert accounts.find_profile(USER_ID).birthday is None


@pytest.mark.parametrize("full_name", ["Carol \ud800Cooper", "Carol \x00Cooper"])
def test_text_that_nobody_can_store_is_mended(platform: Platform, accounts: HttpAccounts, full_name: str) -> None:
    platform.answer = _always(Response(200, body=json.dumps({"fullName": full_name}).encode()))
    assert accounts.find_profile(USER_ID) == Profile("Carol Cooper")


def test_text_that_is_not_utf8_does_not_hide_the_rest(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(200, body=b'{"fullName": "Caf\xe9", "patient": {"mrn": "A-1"}}'))
    assert accounts.find_profile(USER_ID) == Profile("Caf\ufffd", mrn="A-1")


@pytest.mark.parametrize(
    ("email", "body"),
    [("New@Mail.example", {"username": "new@mail.example", "emails": ["new@mail.example"]}), (None, {})],
)
def test_custodial_account_is_made(
    platform: Platform, accounts: HttpAccounts, email: str | None, body: dict[str, Any]
) -> None:
    platform.answer = _always(Response(201, json=CAROL))
    assert accounts.create_custodial(CLINIC_ID, email) == ACCOUNT
    assert platform.calls[-1] == f"POST /v1/clinics/{CLINIC_ID}/users"
    assert platform.last.headers["content-type"] == "application/json"
    assert platform.last.json == body


@pytest.mark.parametrize(
    ("email", "updates"),
    [("New@Mail.example", {"username": "new@mail.example", "emails": ["new@mail.example"]}), (None, {"emails": []})],
)
def test_address_is_changed(
    platform: Platform, accounts: HttpAccounts, email: str | None, updates: dict[str, Any]
) -> None:
    platform.answer = _always(Response(200, json=CAROL))
    accounts.update_custodial_email(USER_ID, email)
    assert platform.calls[-1] == f"PUT /user/{USER_ID}"
    assert platform.last.json == {"updates": updates}


def test_address_of_somebody_else_is_taken(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(409))
    with pytest.raises(EmailTaken):
        accounts.create_custodial(CLINIC_ID, "carol@mail.example")
    with pytest.raises(EmailTaken):
        accounts.update_custodial_email(USER_ID, "carol@mail.example")


def test_address_of_an_unknown_account_cannot_be_changed(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(404))
    with pytest.raises(AccountNotFound):
        accounts.update_custodial_email(USER_ID, "carol@mail.example")


@pytest.mark.parametrize("status", [200, 202, 204, 404])
def test_account_is_removed(platform: Platform, accounts: HttpAccounts, status: int) -> None:
    platform.answer = _always(Response(status))
    accounts.remove(USER_ID)
    assert platform.calls[-1] == f"DELETE /user/{USER_ID}"


def test_account_that_cannot_be_removed(platform: Platform, accounts: HttpAccounts) -> None:
    platform.answer = _always(Response(403))
    with pytest.raises(BadGateway):
        accounts.remove(USER_ID)


@pytest.mark.parametrize("url", ["accounts.example", "ftp://accounts.example"])
def test_address_that_cannot_be_called_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="CLINIC_ACCOUNTS_URL"):
        HttpAccounts(_config(url))
