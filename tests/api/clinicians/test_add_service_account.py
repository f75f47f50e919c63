"""AddServiceAccount: POST /v1/clinics/{clinicId}/service_accounts"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.api.dispatch import Dispatcher
from clinic_service.api.log import RequestLog
from clinic_service.api.metrics import Metrics
from clinic_service.api.routing import LeanFlask, PlanApi
from clinic_service.app import create_app
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.http import MAX_ANSWER_BYTES
from clinic_service.gateways.openid import HttpOpenId
from clinic_service.gateways.tokens import TokenVerifier
from clinic_service.models import Clinic, Clinician, ClinicianRoleUpdate, OutboxEntry
from clinic_service.preparation import Services
from tests.conftest import SECRET
from tests.gateways.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    SUBJECT,
    IdentityProvider,
    answering,
    id_token,
    identity_provider,
    with_id_token,
)
from tests.support.cast import ALICE, BOB, CAROL, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations, spec_apis
from tests.support.http_server import Received, Response
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, stored, storing
from tests.support.session_tokens import rsa_key
from tests.support.units import assert_all_or_nothing, everything, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ACCOUNT = Somebody(SUBJECT, "Night Report Export", "")
# Long enough for an answer on a busy machine, short enough to wait for one that does not come.
SECONDS = 2.0


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: IdentityProvider) -> IdentityProvider:
    """An identity provider that knows one client, and has not been asked yet."""
    running.reset()
    return running


@pytest.fixture(scope="module")
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def impatient_app(shared_database: Database, running: IdentityProvider, log: io.StringIO) -> LeanFlask:
    """The application as `create_app` makes it, but that it waits for the identity provider for a moment only."""
    url = shared_database.url.render_as_string(hide_password=False)
    config = running.config(database_url=url, session_secret=SECRET)
    openid = HttpOpenId(config, seconds=SECONDS)
    services = Services(config, chosen_accounts(config, shared_database), openid)
    dispatcher = Dispatcher(shared_database, TokenVerifier.from_config(config), services)
    app = LeanFlask(RequestLog(log), Metrics(), config)
    for described in spec_apis():
        PlanApi(described, dispatcher, app)
    return app


@pytest.fixture
def api(database: Database, impatient_app: LeanFlask, provider: IdentityProvider) -> Client:  # noqa: ARG001
    return Client(impatient_app, SECRET)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def add(api: Client, clinic_id: str, *, as_: Somebody | None = SERVICE, **body: Any) -> Reply:
    given = {"name": ACCOUNT.name, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} | body
    return api.post(f"/v1/clinics/{clinic_id}/service_accounts", json=given, as_=as_)


def account_of(database: Database, user_id: str = SUBJECT) -> Clinician:
    (account,) = [clinician for clinician in stored(database, Clinician) if clinician.user_id == user_id]
    return account


def test_the_client_becomes_a_member(api: Client, clinic_id: str) -> None:
    with clock.frozen(NOW):
        reply = add(api, clinic_id)
    assert reply.status == 200
    assert reply.json == {
        "id": SUBJECT,
        "email": "",
        "name": "Night Report Export",
        "roles": ["CLINIC_MEMBER"],
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{SUBJECT}", as_=ALICE).json == reply.json


def test_the_credentials_are_tried_once(api: Client, clinic_id: str, provider: IdentityProvider) -> None:
    assert add(api, clinic_id).status == 200
    (attempt,) = provider.attempts
    assert attempt.body == (
        b"grant_type=client_credentials&scope=openid"
        b"&client_id=night-report-export&client_secret=correct-horse-battery-staple"
    )


def test_the_account_may_do_afterwards_what_a_member_may(api: Client, clinic_id: str) -> None:
    path = f"/v1/clinics/{clinic_id}"
    assert api.get(f"{path}/clinicians", as_=ACCOUNT).status == 403
    assert add(api, clinic_id).status == 200
    listed = api.get(f"{path}/clinicians", as_=ACCOUNT)
    assert listed.status == 200
    assert {clinician["id"] for clinician in listed.json} == {ALICE.id, BOB.id, SUBJECT}
    assert api.get(f"{path}/patients/{CAROL.id}", as_=ACCOUNT).status == 404
    assert api.delete(f"{path}/clinicians/{BOB.id}", as_=ACCOUNT).status == 403
    assert [m["clinic"]["id"] for m in api.get(f"/v1/clinicians/{SUBJECT}/clinics", as_=ACCOUNT).json] == [clinic_id]


def test_the_account_is_no_administrator_whom_a_person_may_appoint(api: Client, clinic_id: str) -> None:
    assert add(api, clinic_id).status == 200
    path = f"/v1/clinics/{clinic_id}/clinicians/{SUBJECT}"
    body = {"email": "", "name": ACCOUNT.name, "roles": ["CLINIC_ADMIN"]}
    assert api.put(path, json=body, as_=ALICE).status == 422
    assert api.put(path, json=body, as_=SERVICE).status == 200


def test_a_clinic_may_have_several_accounts_and_an_account_several_clinics(
    api: Client, database: Database, clinic_id: str, provider: IdentityProvider
) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit).id
    assert add(api, clinic_id).status == add(api, elsewhere).status == 200
    provider.always(answering(sub="5eb1ce0005", aud="second"))
    assert add(api, clinic_id, client_id="second").status == 200
    accounts = [(c.clinic_id, c.user_id) for c in stored(database, Clinician) if c.is_service_account]
    assert sorted(accounts) == sorted([(clinic_id, SUBJECT), (clinic_id, "5eb1ce0005"), (elsewhere, SUBJECT)])


@pytest.mark.parametrize(
    ("body", "violation"),
    [
        ({"name": ""}, ("/body/name", "minLength")),
        ({"name": "x" * 256}, ("/body/name", "maxLength")),
        ({"name": None}, ("/body/name", "type")),
        ({"client_id": ""}, ("/body/client_id", "minLength")),
        ({"client_id": "x" * 256}, ("/body/client_id", "maxLength")),
        ({"client_id": 7}, ("/body/client_id", "type")),
        ({"client_secret": ""}, ("/body/client_secret", "minLength")),
        ({"client_secret": CLIENT_SECRET * 40}, ("/body/client_secret", "maxLength")),
        ({"client_secret": [CLIENT_SECRET]}, ("/body/client_secret", "type")),
    ],
)
def test_malformed_bodies_are_refused(
    api: Client, clinic_id: str, provider: IdentityProvider, body: dict[str, Any], violation: tuple[str, str]
) -> None:
    reply = add(api, clinic_id, **body)
    assert_violations(reply, violation)
    assert CLIENT_SECRET not in str(reply.json)
    assert provider.paths == []


@pytest.mark.parametrize("missing", ["name", "client_id", "client_secret"])
def test_all_of_the_body_is_required(api: Client, clinic_id: str, provider: IdentityProvider, missing: str) -> None:
    body = {"name": "x", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    del body[missing]
    path = f"/v1/clinics/{clinic_id}/service_accounts"
    assert_violations(api.post(path, json=body, as_=SERVICE), (f"/body/{missing}", "required"))
    assert_error(api.post(path, json=[body], as_=SERVICE), 400)
    assert_error(api.post(path, as_=SERVICE), 400)
    assert provider.paths == []


def test_the_form_of_the_provider_is_not_ours(api: Client, clinic_id: str, provider: IdentityProvider) -> None:
    form = f"name=x&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}"
    path = f"/v1/clinics/{clinic_id}/service_accounts"
    reply = api.post(path, as_=SERVICE, data=form, content_type="application/x-www-form-urlencoded")
    assert_error(reply, 415)
    assert provider.paths == []


def test_needs_a_token(api: Client, clinic_id: str, provider: IdentityProvider) -> None:
    assert_error(add(api, clinic_id, as_=None), 401)
    assert provider.paths == []


@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY, ACCOUNT])
def test_is_for_services(api: Client, clinic_id: str, provider: IdentityProvider, caller: Somebody) -> None:
    assert_error(add(api, clinic_id, as_=caller), 403)
    assert_error(add(api, clinic_id, as_=caller, name=""), 403)
    assert_error(add(api, "0" * 24, as_=caller), 403)
    assert provider.paths == []


@pytest.mark.usefixtures("clinic_id")
def test_an_unknown_clinic_is_not_found_before_anybody_is_asked(api: Client, provider: IdentityProvider) -> None:
    assert_error(add(api, "0" * 24), 404)
    assert_error(add(api, "not-an-id"), 400)
    assert provider.paths == []


def test_the_clinic_must_be_migrated_before_anybody_is_asked(
    api: Client, database: Database, provider: IdentityProvider
) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, is_migrated=False)
    assert_error(add(api, clinic.id), 422)
    assert stored(database, Clinician) == []
    assert provider.paths == []


REFUSALS: list[Any] = [
    pytest.param(lambda: Response(400, json={"error": "invalid_client"}), 400, id="refused with 400"),
    pytest.param(lambda: Response(401, json={"error_description": CLIENT_SECRET}), 400, id="refused with 401"),
    pytest.param(lambda: Response(403), 502, id="refused otherwise"),
    pytest.param(lambda: Response(500, body=CLIENT_SECRET.encode()), 502, id="failure"),
    pytest.param(lambda: Response(302, headers={"location": "/elsewhere"}), 502, id="redirect"),
    pytest.param(lambda: Response(200, body=b"<html>"), 502, id="garbage"),
    pytest.param(lambda: Response(raw=b"garbage\r\n"), 502, id="no HTTP"),
    pytest.param(lambda: Response(200, body=b" " * (MAX_ANSWER_BYTES + 1)), 502, id="oversized"),
    pytest.param(lambda: Response(raw=b""), 502, id="hung up"),
    pytest.param(lambda: Response(hang=True), 502, id="no answer"),
    pytest.param(lambda: Response(200, json={"access_token": id_token()}), 502, id="no id token"),
    pytest.param(lambda: answering(key=rsa_key("other")), 502, id="signed by another key"),
    pytest.param(lambda: with_id_token(id_token(algorithm="none")), 502, id="not signed"),
    pytest.param(lambda: answering(aud="another-client"), 502, id="another audience"),
    pytest.param(lambda: answering(iss="https://id.example/realms/other"), 502, id="another issuer"),
    pytest.param(lambda: answering(exp=int(clock.now().timestamp()) - 60), 502, id="expired"),
    pytest.param(lambda: answering(sub=None), 502, id="no subject"),
    pytest.param(lambda: answering(sub="service-account-night-report"), 502, id="subject that is no user id"),
]


@pytest.mark.parametrize(("response", "status"), REFUSALS)
def test_what_the_provider_does_not_vouch_for_is_refused_and_nothing_is_stored(
    api: Client,
    database: Database,
    clinic_id: str,
    provider: IdentityProvider,
    response: Callable[[], Response],
    status: int,
) -> None:
    before = everything(database)
    provider.always(response())
    reply = add(api, clinic_id)
    assert_error(reply, status)
    assert "Retry-After" not in reply.headers
    assert "errors" not in reply.json
    assert CLIENT_SECRET not in str(reply.json)
    assert "/elsewhere" not in provider.paths
    assert everything(database) == before


@pytest.mark.parametrize("wrong", [{"client_secret": "wrong"}, {"client_id": "unknown"}])
def test_wrong_credentials_are_a_bad_request(
    api: Client, database: Database, clinic_id: str, wrong: dict[str, Any]
) -> None:
    before = everything(database)
    reply = add(api, clinic_id, **wrong)
    assert_error(reply, 400)
    assert reply.json["message"] == "The identity provider does not accept the credentials."
    assert everything(database) == before


def test_a_server_without_an_identity_provider(database: Database, shared_app: LeanFlask, clinic_id: str) -> None:
    before = everything(database)
    reply = add(Client(shared_app, SECRET), clinic_id)
    assert_error(reply, 502)
    assert reply.json["message"] == "This server has no identity provider for service accounts."
    assert_error(add(Client(shared_app, SECRET), "0" * 24), 404)
    assert everything(database) == before


def test_the_settings_choose_the_identity_provider(
    database: Database, clinic_id: str, provider: IdentityProvider
) -> None:
    url = database.url.render_as_string(hide_password=False)
    config = provider.config(database_url=url, session_secret=SECRET)
    app = create_app(config, database, apis=spec_apis(), log=RequestLog(io.StringIO()))
    assert add(Client(app, SECRET), clinic_id).status == 200
    assert len(provider.attempts) == 1


def test_a_repeat_is_a_conflict(api: Client, database: Database, clinic_id: str) -> None:
    assert add(api, clinic_id).status == 200
    before = everything(database)
    assert_error(add(api, clinic_id, name="Another name"), 409)
    assert everything(database) == before


@pytest.mark.parametrize("roles", [("CLINIC_ADMIN",), ("CLINIC_MEMBER",), ("PRESCRIBER",)])
def test_a_person_who_is_a_clinician_already_is_a_conflict(
    api: Client, database: Database, clinic_id: str, provider: IdentityProvider, roles: tuple[str, ...]
) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, *roles)
    before = everything(database)
    provider.always(answering(sub=PETE.id))
    assert_error(add(api, clinic_id), 409)
    assert everything(database) == before


def test_an_account_that_was_removed_can_be_added_again(api: Client, database: Database, clinic_id: str) -> None:
    assert add(api, clinic_id).status == 200
    assert api.delete(f"/v1/clinics/{clinic_id}/clinicians/{SUBJECT}", as_=ALICE).status == 200
    assert add(api, clinic_id).status == 200
    assert account_of(database).is_service_account


def _meanwhile(provider: IdentityProvider, database: Database, change: Callable[[Any], object]) -> None:
    """Let `change` be committed while the provider is asked: it could not be if a transaction were open."""

    def answer(_: Received) -> Response:
        with storing(database) as unit:
            change(unit)
        return answering()

    provider.answer = answer


def test_a_clinic_that_is_gone_by_then_is_not_found(
    api: Client, database: Database, clinic_id: str, provider: IdentityProvider
) -> None:
    def remove(unit: Any) -> None:
        for clinician in unit.clinicians.all_of_clinic(clinic_id):
            unit.session.delete(clinician)
        unit.clinics.remove(unit.clinics.lock(clinic_id), None)

    _meanwhile(provider, database, remove)
    assert_error(add(api, clinic_id), 404)
    assert stored(database, Clinician) == []


def test_an_account_that_is_a_member_by_then_is_a_conflict(
    api: Client, database: Database, clinic_id: str, provider: IdentityProvider
) -> None:
    _meanwhile(provider, database, lambda unit: make_clinician(unit, unit.clinics.get(clinic_id), ACCOUNT, email=None))
    assert_error(add(api, clinic_id), 409)
    assert not account_of(database).is_service_account


def test_a_clinic_that_is_no_longer_migrated_by_then_is_refused(
    api: Client, database: Database, clinic_id: str, provider: IdentityProvider
) -> None:
    _meanwhile(provider, database, lambda unit: setattr(unit.clinics.get(clinic_id), "is_migrated", False))
    assert_error(add(api, clinic_id), 422)
    assert SUBJECT not in {clinician.user_id for clinician in stored(database, Clinician)}


def test_what_it_leaves_behind(api: Client, database: Database, clinic_id: str) -> None:
    others = {c.id: (c.user_id, c.updated_time) for c in stored(database, Clinician)}
    (clinic,) = stored(database, Clinic)
    with clock.frozen(NOW):
        assert add(api, clinic_id).status == 200
    account = account_of(database)
    assert (account.name, account.email, account.invite_id) == ("Night Report Export", None, None)
    assert (account.is_service_account, list(account.roles)) == (True, ["CLINIC_MEMBER"])
    assert (account.created_time, account.updated_time) == (NOW, NOW)
    (entry,) = stored(database, OutboxEntry)
    assert (entry.kind, entry.clinic_id) == ("clinician_added", clinic_id)
    assert entry.payload == {"clinicId": clinic_id, "userId": SUBJECT}
    assert {c.id: (c.user_id, c.updated_time) for c in stored(database, Clinician) if c.id != account.id} == others
    assert stored(database, Clinic)[0].updated_time == clinic.updated_time
    assert stored(database, ClinicianRoleUpdate) == []


def test_credentials_and_tokens_are_kept_nowhere(
    api: Client,
    database: Database,
    clinic_id: str,
    provider: IdentityProvider,
    log: io.StringIO,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    given = id_token()
    for response in (Response(401, body=CLIENT_SECRET.encode()), Response(500), with_id_token(given)):
        provider.always(response)
        reply = add(api, clinic_id)
        assert CLIENT_SECRET not in str(reply)
        assert given not in str(reply)
    assert reply.status == 200
    everywhere = "".join((str(everything(database)), log.getvalue(), caplog.text, *capfd.readouterr()))
    assert "Night Report Export" in everywhere
    assert '"operation":"AddServiceAccount"' in everywhere
    for secret in (CLIENT_SECRET, CLIENT_ID, given, "an access token"):
        assert secret not in everywhere


def test_a_defect_does_not_tell_the_secret(
    api: Client, database: Database, clinic_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a failing database, whose errors hold the values of their statements."""
    caplog.set_level(logging.DEBUG)
    assert_all_or_nothing(database, lambda: add(api, clinic_id))
    assert CLIENT_SECRET not in caplog.text


def test_the_number_of_statements_is_fixed(
    api: Client, database: Database, clinic_id: str, provider: IdentityProvider
) -> None:
    # The clinic, before and after the provider is asked; the account, and the word of it.
    assert number_of_statements(database, lambda: add(api, clinic_id)) == 4
    with storing(database) as unit:
        for number in range(20):
            clinic = unit.clinics.get(clinic_id)
            make_clinician(unit, clinic, Somebody(f"{number:010x}", f"Member {number}", f"{number}@mail.example"))
    provider.always(answering(sub="5eb1ce0005"))
    assert number_of_statements(database, lambda: add(api, clinic_id)) == 4
