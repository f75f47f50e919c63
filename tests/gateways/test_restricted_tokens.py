"""Restricted tokens: those of the auth service, over HTTP, and those kept in this program's own database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock, deadline, models
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config, ConfigError
from clinic_service.db.engine import Database
from clinic_service.errors import BadGateway
from clinic_service.gateways.restricted_tokens import (
    IssuedRestrictedToken,
    RestrictedTokens,
    UnconfiguredRestrictedTokens,
    is_token_id,
)
from clinic_service.gateways.restricted_tokens.choice import chosen_restricted_tokens
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.gateways.restricted_tokens.http import HttpRestrictedTokens
from clinic_service.gateways.restricted_tokens.protocol import RestrictedTokensUnavailable
from clinic_service.gateways.server_token import SESSION_HEADER, chosen_server_token
from clinic_service.gateways.tokens import TokenVerifier
from tests.conftest import SECRET
from tests.support.auth_service import AuthService, auth_service
from tests.support.http_server import Response, call_timeout, http_server
from tests.support.rows import stored

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
IN_AN_HOUR = NOW + timedelta(hours=1)
USER_ID = "ca401c0003"
UNKNOWN = "0" * 32
CREATE, FIND = f"POST /v1/users/{USER_ID}/restricted_tokens", f"GET /v1/restricted_tokens/{UNKNOWN}"


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


class TestOfTheAuthService:
    @pytest.fixture
    def service(self) -> Iterator[AuthService]:
        with auth_service() as running:
            yield running

    @pytest.fixture
    def tokens(self, service: AuthService, request: pytest.FixtureRequest) -> HttpRestrictedTokens:
        config = Config(**service.settings)
        return HttpRestrictedTokens(config, chosen_server_token(config), seconds=call_timeout(request))

    def test_is_made_in_the_name_of_this_server(self, service: AuthService, tokens: HttpRestrictedTokens) -> None:
        token = tokens.create(USER_ID)
        assert token == IssuedRestrictedToken(f"{1:032d}", USER_ID, IN_AN_HOUR)
        log_in, call = service.server.received
        assert (log_in.method, log_in.path) == ("POST", "/auth/serverlogin")
        assert (call.path, call.json) == (f"/v1/users/{USER_ID}/restricted_tokens", {})
        assert call.headers[SESSION_HEADER] == "session-token-1"
        assert "x-tidepool-server-secret" not in call.headers

    def test_what_is_asked_for_is_passed_on(self, service: AuthService, tokens: HttpRestrictedTokens) -> None:
        token = tokens.create(USER_ID, paths=["/export"], expires=NOW + timedelta(days=2))
        assert (token.paths, token.expires) == (("/export",), NOW + timedelta(days=2))
        asked = {"paths": ["/export"], "expirationTime": "2026-03-04T09:30:00.000Z"}
        assert service.server.received[-1].json == asked

    def test_is_found_until_it_expires(self, tokens: HttpRestrictedTokens) -> None:
        token = tokens.create(USER_ID)
        with clock.frozen(IN_AN_HOUR - timedelta(milliseconds=1)):
            assert tokens.find(token.id) == token
        with clock.frozen(IN_AN_HOUR):
            assert tokens.find(token.id) is None

    def test_unknown_is_none(self, tokens: HttpRestrictedTokens) -> None:
        assert tokens.find(UNKNOWN) is None

    def test_ids_are_encoded(self, service: AuthService, tokens: HttpRestrictedTokens) -> None:
        assert tokens.find("a/../b?c") is None
        assert service.calls == ["GET /v1/restricted_tokens/a%2F..%2Fb%3Fc"]

    def test_refused_session_token_is_renewed_once(self, service: AuthService, tokens: HttpRestrictedTokens) -> None:
        tokens.create(USER_ID)
        service.session_token = "session-token-2"
        assert tokens.create(USER_ID).id == f"{2:032d}"
        service.on_bad_days = lambda _: Response(401)
        with pytest.raises(BadGateway):
            tokens.create(USER_ID)

    @pytest.mark.parametrize(
        "response",
        [
            pytest.param(Response(500), id="failure"),
            pytest.param(Response(403), id="refusal"),
            pytest.param(Response(302, headers={"location": "/"}), id="redirect"),
            pytest.param(Response(200), id="empty"),
            pytest.param(Response(200, body=b"<html>"), id="no JSON"),
            pytest.param(Response(200, json=[]), id="no object"),
            pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
            pytest.param(Response(raw=b""), id="hung up"),
            pytest.param(Response(hang=True), id="no answer"),
        ],
    )
    def test_answers_of_no_use(self, service: AuthService, tokens: HttpRestrictedTokens, response: Response) -> None:
        service.on_bad_days = lambda _: response
        with pytest.raises(BadGateway):
            tokens.create(USER_ID)
        with pytest.raises(BadGateway):
            tokens.find(UNKNOWN)

    def test_a_log_in_that_is_refused(self, service: AuthService) -> None:
        config = Config(**service.settings | {"accounts_server_secret": "another"})
        with pytest.raises(BadGateway):
            HttpRestrictedTokens(config, chosen_server_token(config)).find(UNKNOWN)
        assert service.calls == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "short"},
            {"id": "A" * 32},
            {"id": None},
            {"id": "1" * 32},
            {"userId": None},
            {"userId": 7},
            {"expirationTime": None},
            {"expirationTime": "tomorrow"},
            {"expirationTime": "2026-03-02T10:30:00"},
            {"expirationTime": "9999-12-31T23:59:59-12:00"},
            {"paths": "/export"},
            {"paths": [1]},
        ],
        ids=str,
    )
    def test_tokens_that_make_no_sense(
        self, service: AuthService, tokens: HttpRestrictedTokens, changes: dict[str, Any]
    ) -> None:
        document = {"id": UNKNOWN, "userId": USER_ID, "expirationTime": "2026-03-02T10:30:00Z"} | changes
        service.on_bad_days = lambda _: Response(200, json=document)
        with pytest.raises(BadGateway):
            tokens.find(UNKNOWN)

    def test_a_token_of_somebody_else_is_not_passed_on(
        self, service: AuthService, tokens: HttpRestrictedTokens
    ) -> None:
        document = {"id": UNKNOWN, "userId": "da7e000004", "expirationTime": "2026-03-02T10:30:00Z"}
        service.on_bad_days = lambda _: Response(200, json=document)
        with pytest.raises(BadGateway):
            tokens.create(USER_ID)

    def test_nobody_listens(self, service: AuthService) -> None:
        with http_server(lambda _: Response()) as gone:
            url = gone.url
        for changes in ({"auth_client_address": url}, {"auth_client_external_address": url}):
            config = Config(**service.settings | changes)
            with pytest.raises(RestrictedTokensUnavailable):
                HttpRestrictedTokens(config, chosen_server_token(config)).find(UNKNOWN)

    def test_the_deadline_of_the_request_holds(self, service: AuthService, tokens: HttpRestrictedTokens) -> None:
        with deadline.limited(5), clock.advanced(5), pytest.raises(RestrictedTokensUnavailable):
            tokens.find(UNKNOWN)
        assert service.server.received == []

    def test_are_told_to_no_log(
        self,
        service: AuthService,
        tokens: HttpRestrictedTokens,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        token = tokens.create(USER_ID)
        service.on_bad_days = lambda _: Response(500)
        with pytest.raises(BadGateway) as failure:
            tokens.find(token.id)
        written = capsys.readouterr()
        told = caplog.text + written.out + written.err + repr(failure.value) + repr(token)
        for secret in (token.id, "session-token-1", "server secret"):
            assert secret not in told


class TestOfTheDatabase:
    @pytest.fixture
    def tokens(self, database: Database) -> EmbeddedRestrictedTokens:
        return EmbeddedRestrictedTokens(database)

    def test_is_good_for_an_hour(self, tokens: EmbeddedRestrictedTokens) -> None:
        token = tokens.create(USER_ID)
        assert is_token_id(token.id)
        assert token == IssuedRestrictedToken(token.id, USER_ID, IN_AN_HOUR)
        with clock.frozen(IN_AN_HOUR - timedelta(milliseconds=1)):
            assert tokens.find(token.id) == token
        with clock.frozen(IN_AN_HOUR):
            assert tokens.find(token.id) is None

    def test_is_good_for_90_days_at_most(self, tokens: EmbeddedRestrictedTokens) -> None:
        days = [tokens.create(USER_ID, expires=NOW + timedelta(days=count)).expires - NOW for count in (2, 90, 91)]
        assert days == [timedelta(days=2), timedelta(days=90), timedelta(days=90)]

    def test_keeps_its_paths(self, tokens: EmbeddedRestrictedTokens) -> None:
        token = tokens.create(USER_ID, paths=["/export", "/data"])
        assert tokens.find(token.id) == token
        assert token.paths == ("/export", "/data")

    def test_each_is_another_and_unknown_is_none(self, tokens: EmbeddedRestrictedTokens) -> None:
        made = {tokens.create(USER_ID).id for _ in range(20)}
        assert len(made) == 20
        assert tokens.find(UNKNOWN) is None

    def test_the_database_holds_none_that_could_be_used(
        self, tokens: EmbeddedRestrictedTokens, database: Database
    ) -> None:
        token = tokens.create(USER_ID)
        [row] = stored(database, models.RestrictedToken)
        assert token.id not in str(vars(row))
        assert tokens.find(row.hash) is None

    def test_those_that_have_expired_go_when_another_is_made(
        self, tokens: EmbeddedRestrictedTokens, database: Database
    ) -> None:
        tokens.create(USER_ID)
        lasting = tokens.create(USER_ID, expires=NOW + timedelta(days=1))
        with clock.frozen(IN_AN_HOUR):
            new = tokens.create(USER_ID)
            assert tokens.find(lasting.id) == lasting
            assert tokens.find(new.id) == new
        assert len(stored(database, models.RestrictedToken)) == 2


class TestServerToken:
    """The session token of this server, where no log-in is configured."""

    def test_is_signed_with_the_secret_of_session_tokens(self) -> None:
        config = Config(session_secret=SECRET, session_issuer="us", session_audience="them")
        sent: list[str] = []
        token = chosen_server_token(config)
        for time in (NOW, NOW + timedelta(minutes=59), NOW + timedelta(minutes=60)):
            with clock.frozen(time):
                token.call(lambda text: _noting(sent, text))
                caller = TokenVerifier.from_config(config).caller(sent[-1])
                assert caller == Caller("clinic-service", CallerKind.SERVICE)
        # One that is about to expire is not used any more.
        assert sent[0] == sent[1] != sent[2]

    def test_needs_a_secret(self) -> None:
        with pytest.raises(ConfigError, match="CLINIC_SESSION_SECRET"):
            chosen_server_token(Config(session_jwks="https://id.example/keys"))

    def test_is_had_at_the_accounts_service_where_that_is_all_there_is(self) -> None:
        with auth_service() as service:
            config = Config(
                accounts_url=f"{service.server.url}/auth",
                profiles_url=service.server.url,
                auth_client_address=service.server.url,
                accounts_server_name="clinic",
                accounts_server_secret="server secret",
            )
            assert HttpRestrictedTokens(config, chosen_server_token(config)).find(UNKNOWN) is None
            assert service.calls == [FIND]


def _noting(sent: list[str], text: str) -> Any:
    sent.append(text)
    return Response(200)


def test_the_configuration_decides(database: Database) -> None:
    here = chosen_restricted_tokens(Config(), database)
    assert isinstance(here, EmbeddedRestrictedTokens)
    config = Config(auth_client_address="https://auth.example", session_secret=SECRET)
    assert isinstance(chosen_restricted_tokens(config, database), HttpRestrictedTokens)


def test_without_a_keeper_there_are_no_tokens() -> None:
    nobody: RestrictedTokens = UnconfiguredRestrictedTokens()
    with pytest.raises(BadGateway):
        nobody.create(USER_ID)
    with pytest.raises(BadGateway):
        nobody.find(UNKNOWN)


@pytest.mark.parametrize("name", ["auth_client_address", "auth_client_external_address"])
def test_addresses_that_cannot_be_called(database: Database, name: str) -> None:
    settings: dict[str, Any] = {
        "auth_client_address": "https://auth.example",
        "accounts_server_name": "clinic",
        "accounts_server_secret": "secret",
        "session_secret": SECRET,
        name: "auth.example",
    }
    with pytest.raises(ConfigError, match=f"CLINIC_{name.upper()}"):
        chosen_restricted_tokens(Config(**settings), database)


def test_a_log_in_needs_a_name_and_a_secret() -> None:
    with pytest.raises(ConfigError, match="CLINIC_ACCOUNTS_SERVER_NAME"):
        Config(auth_client_external_address="https://auth.example")


@pytest.mark.parametrize(
    ("text", "fits"),
    [("a0" * 16, True), ("a" * 31, False), ("a" * 33, False), ("A" * 32, False), ("a" * 31 + "\n", False)],
)
def test_the_form_of_a_token(text: str, fits: bool) -> None:
    assert is_token_id(text) is fits
