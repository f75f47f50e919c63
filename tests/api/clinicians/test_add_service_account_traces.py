"""Conflicts, changes by other requests, and what AddServiceAccount stores and logs."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.api.routing import LeanFlask
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Clinician, ClinicianRoleUpdate, OutboxEntry
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
from tests.support.cast import ALICE, PETE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.http_server import Received, Response
from tests.support.rows import make_clinician, make_staffed_clinic, stored, storing
from tests.support.units import assert_all_or_nothing, everything, number_of_statements


@pytest.fixture
def api(database: Database, impatient_app: LeanFlask, provider: IdentityProvider) -> Client:  # noqa: ARG001
    return Client(impatient_app, SECRET)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def account_of(database: Database, user_id: str = SUBJECT) -> Clinician:
    (account,) = [clinician for clinician in stored(database, Clinician) if clinician.user_id == user_id]
    return account


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
    assert number_of_statements(database, lambda: add(api, clinic_id)) == 5
    with storing(database) as unit:
        for number in range(20):
            clinic = unit.clinics.get(clinic_id)
            make_clinician(unit, clinic, Somebody(f"{number:010x}", f"Member {number}", f"{number}@mail.example"))
    provider.always(answering(sub="5eb1ce0005"))
    assert number_of_statements(database, lambda: add(api, clinic_id)) == 5
