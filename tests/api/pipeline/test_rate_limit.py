"""The limit on the requests of a caller, which is off unless `CLINIC_RATE_LIMIT` is set."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import throttled

from clinic_service.api import rate_limit
from clinic_service.api.bodies import ADMITTED
from clinic_service.api.exchange import RawAnswer
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.audit import lines_of
from tests.support.cast import ALICE, BOB, MALLORY, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
from tests.support.metrics import metric
from tests.support.small_work import Small
from tests.support.statements import counting

HEADERS = ("RateLimit-Policy", "RateLimit", "Retry-After")
_numbers = itertools.count()
# It is decided before a statement is sent.
pytestmark = pytest.mark.one_engine


class Time:
    """The clock of the library, which goes on when a test says so."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(throttled.utils, "now_mono_f", lambda: self.now)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def limited(small: Small, limit: str | None = "2/minute", **settings: Any) -> Client:
    """A client of the small application, where every request of a member succeeds."""

    def work(_ctx: Context) -> Any:
        return {"name": "done"}

    return small.client(work, rate_limit=limit, **settings)


def look(client: Client, clinic_id: str, who: Somebody | None, **more: Any) -> Reply:
    return client.get(f"/clinics/{clinic_id}", as_=who, **more)


def headers(reply: Reply) -> tuple[str | None, ...]:
    return tuple(reply.headers.get(name) for name in HEADERS)


@pytest.mark.usefixtures("time")
def test_each_caller_has_a_limit(small: Small, clinic_id: str) -> None:
    client = limited(small)
    replies = [look(client, clinic_id, BOB) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [headers(reply) for reply in replies] == [
        ('"caller";q=2;w=60', '"caller";r=1;t=30', None),
        ('"caller";q=2;w=60', '"caller";r=0;t=60', None),
        ('"caller";q=2;w=60', '"caller";r=0;t=60', "30"),
    ]
    assert_error(replies[2], 429)
    assert look(client, clinic_id, ALICE).status == 200


def test_requests_come_back_evenly(small: Small, clinic_id: str, time: Time) -> None:
    client = limited(small)
    statuses = []
    for seconds in (0, 0, 0, 30, 0, 29, 1, 60, 0, 0):
        time.now += seconds
        statuses.append(look(client, clinic_id, BOB).status)
    assert statuses == [200, 200, 429, 200, 429, 429, 200, 200, 200, 429]


def test_fewer_may_be_sent_at_once(small: Small, clinic_id: str, time: Time) -> None:
    client = limited(small, "60/minute burst 1")
    statuses = []
    for seconds in (0, 0, 1, 0):
        time.now += seconds
        statuses.append(look(client, clinic_id, BOB).status)
    assert statuses == [200, 429, 200, 429]


def test_refused_requests_count_and_tell_what_is_left(small: Small, clinic_id: str) -> None:
    client = limited(small)
    replies = [look(client, clinic_id, MALLORY) for _ in range(3)]
    assert [reply.status for reply in replies] == [403, 403, 429]
    assert headers(replies[1])[:2] == ('"caller";q=2;w=60', '"caller";r=0;t=60')


def test_nothing_is_limited_unless_it_is_set(small: Small, clinic_id: str) -> None:
    client = limited(small, None)
    replies = [look(client, clinic_id, who) for who in (BOB, None) * 5]
    assert {reply.status for reply in replies} == {200, 401}
    assert {headers(reply) for reply in replies} == {(None, None, None)}


def test_a_refusal_asks_no_database(small: Small, clinic_id: str, database: Database) -> None:
    client = limited(small, "1/hour")
    look(client, clinic_id, BOB)
    with counting(database) as statements:
        assert look(client, clinic_id, BOB).status == 429
    assert statements == []


def test_refusals_are_counted_by_kind_of_caller(small: Small, clinic_id: str) -> None:
    client = limited(small, "1/hour")
    before = [metric("clinic_refusals_total", error="RateLimitReached", rule=rule) for rule in ("caller", "address")]
    for who in (BOB, BOB, BOB, None, None):
        look(client, clinic_id, who)
    after = [metric("clinic_refusals_total", error="RateLimitReached", rule=rule) for rule in ("caller", "address")]
    assert [then - now for then, now in zip(after, before, strict=True)] == [2, 1]


class TestWithoutAToken:
    def test_addresses_have_a_limit_each(self, small: Small, clinic_id: str) -> None:
        client = limited(small, "2/hour")

        def ask(address: str, **more: Any) -> Reply:
            return look(client, clinic_id, None, environ_base={"REMOTE_ADDR": address}, **more)

        replies = [ask("192.0.2.1"), ask("192.0.2.1", headers={"X-Tidepool-Session-Token": "forged"})]
        replies += [ask("192.0.2.1"), ask("192.0.2.2")]
        assert [reply.status for reply in replies] == [401, 401, 429, 401]
        assert headers(replies[0])[:2] == ('"address";q=2;w=3600', '"address";r=1;t=1800')

    def test_a_known_caller_at_the_same_address_is_not_limited(self, small: Small, clinic_id: str) -> None:
        client = limited(small, "1/hour")
        assert [look(client, clinic_id, who).status for who in (None, None, BOB)] == [401, 429, 200]

    def test_the_setting_says_how_many_proxies_there_are(self, small: Small, clinic_id: str) -> None:
        client = limited(small, "1/hour", proxies=1)
        statuses = [
            look(client, clinic_id, None, headers={"X-Forwarded-For": address}).status
            for address in ("198.51.100.7", "198.51.100.7", "198.51.100.8")
        ]
        assert statuses == [401, 429, 401]


class TestLargeBodies:
    """The server asks by the head alone, before it reads a large body."""

    @staticmethod
    def environ(client: Client, clinic_id: str) -> dict[str, Any]:
        return {
            "REQUEST_METHOD": "PUT",
            "REQUEST_URI": f"/clinics/{clinic_id}",
            "CONTENT_LENGTH": str(1 << 20),
            "HTTP_X_TIDEPOOL_SESSION_TOKEN": client.token(ALICE),
        }

    def test_are_not_read_beyond_the_limit(self, small: Small, clinic_id: str) -> None:
        client = limited(small, "1/hour")
        look(client, clinic_id, ALICE)
        answer = client.app.admit(self.environ(client, clinic_id))
        assert isinstance(answer, RawAnswer)
        assert (answer.status, dict(answer.headers)["Retry-After"]) == (429, "3600")

    def test_count_once(self, small: Small, clinic_id: str) -> None:
        client = limited(small, "2/hour")
        assert client.app.admit(self.environ(client, clinic_id)) == 1 << 20
        body = {"json": {"name": "new"}, "environ_base": {ADMITTED: True}}
        reply = client.put(f"/clinics/{clinic_id}", as_=ALICE, **body)
        assert reply.status == 200
        assert reply.headers["RateLimit"].startswith('"caller";r=1;')


class TestMemory:
    def test_callers_that_were_silent_longest_are_forgotten(
        self, small: Small, clinic_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rate_limit, "MAX_COUNTED", 2)
        client = limited(small, "1/hour")
        statuses = [look(client, clinic_id, who).status for who in (ALICE, BOB, ALICE, MALLORY, ALICE, BOB)]
        assert statuses == [200, 200, 429, 403, 429, 200]


class TestInTheWholeApplication:
    @pytest.fixture
    def client(self, database: Database, config: Config) -> Client:
        return Client(application(replace(config, rate_limit="2/hour"), database), SECRET)

    @pytest.fixture
    def somebody(self) -> Somebody:
        """Somebody new, because all tests share the application and so its counts."""
        return Somebody(f"5{next(_numbers):09x}", "", "")

    def test_one_refusal_in_a_minute_is_recorded(
        self, client: Client, config: Config, somebody: Somebody, time: Time
    ) -> None:
        replies = [client.get("/v1/clinics", as_=somebody) for _ in range(5)]
        time.now += 60
        replies.append(client.get("/v1/clinics", as_=somebody))
        assert [reply.status for reply in replies] == [403, 403, 429, 429, 429, 429]
        assert [len(lines_of(config, reply)) for reply in replies] == [1, 1, 1, 0, 0, 1]
        [line] = lines_of(config, replies[2])
        assert (line["status"], line["outcome"], line["caller"]) == (429, "refused", somebody.id)

    def test_only_a_partner_that_proves_itself_in_a_header_is_counted_as_one(
        self, database: Database, config: Config
    ) -> None:
        limits = replace(config, rate_limit="2/hour", redox_verification_token="secret")
        client = Client(application(limits, database), SECRET)
        message = client.post("/v1/redox", headers={"verification-token": "secret"}, json={})
        challenge = client.post("/v1/redox/verify", json={"verification-token": "secret", "challenge": ""})
        assert (message.status, challenge.status) == (400, 200)
        assert message.headers["RateLimit"].startswith('"caller"')
        assert challenge.headers["RateLimit"].startswith('"address"')

    @pytest.mark.parametrize("path", ["/live", "/ready", "/metrics", "/docs", "/openapi/clinic.v1.json", "/nothing"])
    def test_pages_have_no_limit(self, client: Client, path: str) -> None:
        replies = [client.get(path) for _ in range(4)]
        assert len({reply.status for reply in replies}) == 1
        assert {headers(reply) for reply in replies} == {(None, None, None)}
