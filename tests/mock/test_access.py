"""Whom the mock lets in: without `--auth` whoever sends credentials, with it whom the rules admit that need no database."""

from __future__ import annotations

import pytest

from clinic_service.config import Config
from clinic_service.errors import ServiceError
from clinic_service.mock.app import Choices, create_mock
from clinic_service.mock.document import load_documents
from clinic_service.specification.source import SpecError
from tests.support.cast import ALICE, BOB, SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error, spec_apis
from tests.support.malformed_targets import CLINIC_ID
from tests.support.mocks import CONFIG, DOCUMENTS, mock_client

OPEN, CHECKING = mock_client(), mock_client(auth=True)
CLINIC = f"/v1/clinics/{CLINIC_ID}"
XEALTH = "/v1/xealth/notification"


class TestWithoutAuth:
    def test_any_token_will_do(self) -> None:
        for token in ("x", "kc:a:b", "not a token", OPEN.token(ALICE)):
            assert OPEN.get(CLINIC, headers={"X-Tidepool-Session-Token": token}).status == 200

    def test_a_request_without_a_token_is_refused(self) -> None:
        assert_error(OPEN.get(CLINIC), 401)
        assert_error(OPEN.get(CLINIC, headers={"X-Tidepool-Session-Token": ""}), 401)
        assert_error(OPEN.get(CLINIC, headers={"Authorization": "Bearer x"}), 401)

    def test_it_comes_before_everything_else(self) -> None:
        assert_error(OPEN.get("/v1/clinics/x", headers={"Prefer": "code=418"}), 401)

    def test_everybody_may_do_everything(self) -> None:
        for somebody in (ALICE, SERVICE):
            assert OPEN.post(f"{CLINIC}/tier", as_=somebody, json={"tier": "tier0100"}).status == 200

    def test_partners_send_some_secret(self) -> None:
        message = {"Meta": {"DataModel": "Order", "EventType": "New"}}
        assert_error(OPEN.post("/v1/redox", json=message), 401)
        assert OPEN.post("/v1/redox", json=message, headers={"Verification-Token": "x"}).status in (200, 204, 400)
        assert_error(OPEN.post(XEALTH, json={}), 401)
        assert OPEN.post(XEALTH, json={}, headers={"Authorization": "Bearer x"}).status != 401


class TestWithAuth:
    def test_a_token_must_be_good(self) -> None:
        for token in ("x", "kc:a:b", CHECKING.token(ALICE)[:-2]):
            assert_error(CHECKING.get(CLINIC, headers={"X-Tidepool-Session-Token": token}), 401)
        assert_error(CHECKING.get(CLINIC), 401)
        assert CHECKING.get(CLINIC, as_=ALICE).status == 200

    def test_what_is_reserved_for_services(self) -> None:
        assert_error(CHECKING.post(f"{CLINIC}/tier", as_=ALICE, json={"tier": "tier0100"}), 403)
        assert CHECKING.post(f"{CLINIC}/tier", as_=SERVICE, json={"tier": "tier0100"}).status == 200

    def test_what_is_reserved_for_persons(self) -> None:
        assert_error(CHECKING.post("/v1/clinics", as_=SERVICE, json={"name": "A", "preferredBgUnits": "mg/dL"}), 403)
        assert CHECKING.post("/v1/clinics", as_=ALICE, json={"name": "A", "preferredBgUnits": "mg/dL"}).status == 200

    def test_what_is_reserved_for_oneself(self) -> None:
        assert CHECKING.get(f"/v1/clinicians/{ALICE.id}/clinics", as_=ALICE).status == 200
        assert_error(CHECKING.get(f"/v1/clinicians/{ALICE.id}/clinics", as_=BOB), 403)

    def test_what_needs_the_database_is_not_decided_and_admits(self) -> None:
        assert CHECKING.get(f"{CLINIC}/patients", as_=BOB).status == 200
        assert CHECKING.get(f"/access/{ALICE.id}", as_=BOB).status == 200
        # A service is no member, whatever is stored.
        assert_error(CHECKING.put(f"{CLINIC}/patients/{BOB.id}/reviews", as_=SERVICE), 403)
        assert CHECKING.put(f"{CLINIC}/patients/{BOB.id}/reviews", as_=BOB).status == 200

    def test_nobody_learns_from_the_body_or_the_preferences_before(self) -> None:
        assert_error(CHECKING.post(f"{CLINIC}/tier", as_=ALICE, json=17, headers={"Prefer": "code=418"}), 403)

    def test_partners_send_their_own_secret(self) -> None:
        assert_error(CHECKING.post(XEALTH, json={}, headers={"Authorization": "Bearer x"}), 401)
        good = {"Authorization": f"Bearer {CONFIG.xealth_bearer_token}"}
        assert CHECKING.post(XEALTH, json={}, headers=good).status != 401

    def test_it_needs_a_document_that_says_who_may_call(self) -> None:
        with pytest.raises(
            SpecError, match=r"events\.yaml|event\.yaml:\d+: getEvent: x-access must list .*--auth"
        ) as caught:
            create_mock(CONFIG, load_documents(DOCUMENTS / "events.yml"), Choices(auth=True))
        assert caught.value.line > 1

    def test_it_needs_keys(self) -> None:
        nowhere = Config(database_url=CONFIG.database_url)
        with pytest.raises(ServiceError, match="CLINIC_SESSION_SECRET"):
            create_mock(nowhere, spec_apis(), Choices(auth=True))
        # Without `--auth` no key is needed.
        assert Client(create_mock(nowhere, spec_apis(), Choices()), "").get("/live").status == 200
