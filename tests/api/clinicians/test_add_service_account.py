"""AddServiceAccount: POST /v1/clinics/{clinicId}/service_accounts"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.api.log import RequestLog
from clinic_service.api.routing import LeanFlask
from clinic_service.app import create_app
from clinic_service.db.engine import Database
from clinic_service.gateways.http import MAX_ANSWER_BYTES
from clinic_service.models import Clinician
from tests.api.clinicians.service_accounts import ACCOUNT, NOW, add
from tests.conftest import SECRET
from tests.gateways.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    SUBJECT,
    IdentityProvider,
    answering,
    id_token,
    with_id_token,
)
from tests.support.cast import ALICE, BOB, CAROL, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations, spec_apis
from tests.support.http_server import Response
from tests.support.rows import make_clinic, make_staffed_clinic, stored, storing
from tests.support.session_tokens import rsa_key
from tests.support.units import everything


@pytest.fixture
def api(database: Database, impatient_app: LeanFlask, provider: IdentityProvider) -> Client:  # noqa: ARG001
    return Client(impatient_app, SECRET)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


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


@pytest.mark.one_engine
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


@pytest.mark.one_engine
@pytest.mark.parametrize("missing", ["name", "client_id", "client_secret"])
def test_all_of_the_body_is_required(api: Client, clinic_id: str, provider: IdentityProvider, missing: str) -> None:
    body = {"name": "x", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    del body[missing]
    path = f"/v1/clinics/{clinic_id}/service_accounts"
    assert_violations(api.post(path, json=body, as_=SERVICE), (f"/body/{missing}", "required"))
    assert_error(api.post(path, json=[body], as_=SERVICE), 400)
    assert_error(api.post(path, as_=SERVICE), 400)
    assert provider.paths == []


@pytest.mark.one_engine
def test_the_form_of_the_provider_is_not_ours(api: Client, clinic_id: str, provider: IdentityProvider) -> None:
    form = f"name=x&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}"
    path = f"/v1/clinics/{clinic_id}/service_accounts"
    reply = api.post(path, as_=SERVICE, data=form, content_type="application/x-www-form-urlencoded")
    assert_error(reply, 415)
    assert provider.paths == []


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, provider: IdentityProvider) -> None:
    assert_error(add(api, clinic_id, as_=None), 401)
    assert provider.paths == []


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY, ACCOUNT])
def test_is_for_services(api: Client, clinic_id: str, provider: IdentityProvider, caller: Somebody) -> None:
    assert_error(add(api, clinic_id, as_=caller), 403)
    assert_error(add(api, clinic_id, as_=caller, name=""), 403)
    assert_error(add(api, "0" * 24, as_=caller), 403)
    assert provider.paths == []


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinic_id")
def test_an_unknown_clinic_is_not_found_before_anybody_is_asked(api: Client, provider: IdentityProvider) -> None:
    assert_error(add(api, "0" * 24), 404)
    assert_error(add(api, "not-an-id"), 400)
    assert provider.paths == []


@pytest.mark.one_engine
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


@pytest.mark.one_engine
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


@pytest.mark.one_engine
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
