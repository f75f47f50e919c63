"""EnableNewClinicExperience: POST /v1/clinicians/{userId}/migrate"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clinic_service import clock
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.gateways.accounts.protocol import Account, AccountNotFound
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.models import Clinic, Clinician, Migration, OutboxEntry, Patient, ShareCode
from clinic_service.preparation import Preparation, Services
from clinic_service.resources.migrations.handlers import enable_new_clinic_experience
from clinic_service.unit_of_work import reading
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import (
    make_account,
    make_clinic,
    make_clinician,
    make_migration,
    make_staffed_clinic,
    stored,
    storing,
)
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen(database: Database) -> Iterator[None]:
    with storing(database) as unit:
        make_account(unit, ALICE, "clinic")
    with clock.frozen(NOW):
        yield


def enable(api: Client, person: Somebody = ALICE) -> str:
    reply = api.post(f"/v1/clinicians/{person.id}/migrate", as_=SERVICE)
    assert reply.status == 200
    return str(reply.json["id"])


def test_answers_an_empty_clinic(api: Client, database: Database) -> None:
    reply = api.post(f"/v1/clinicians/{ALICE.id}/migrate", as_=SERVICE)
    assert reply.status == 200
    (code,) = stored(database, ShareCode)
    assert reply.json == {
        "id": code.clinic_id,
        "name": "",
        "preferredBgUnits": "mg/dL",
        "shareCode": code.code,
        "canMigrate": False,
        "tier": "tier0100",
        "tierDescription": "Free",
        "patientTags": [],
        "sites": [],
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }


def test_the_account_administers_a_limited_clinic_that_is_not_migrated(api: Client, database: Database) -> None:
    clinic_id = enable(api)
    (clinic,) = stored(database, Clinic)
    assert (clinic.id, clinic.is_migrated, clinic.name) == (clinic_id, False, None)
    assert clinic.patient_count_settings == {"hardLimit": {"plan": 250}}
    (admin,) = stored(database, Clinician)
    assert (admin.clinic_id, admin.user_id, admin.email, admin.name) == (clinic_id, ALICE.id, ALICE.email, ALICE.name)
    assert [role.value for role in admin.roles] == ["CLINIC_ADMIN"]


def test_there_is_no_migration_yet_no_mail_and_no_demo_patient(database: Database, config: Config) -> None:
    with storing(database) as unit:
        make_account(unit, CAROL)
    api = Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)
    enable(api)
    assert stored(database, Migration) == []
    assert stored(database, Patient) == []
    assert [entry.kind for entry in stored(database, OutboxEntry)] == ["clinician_added"]


def test_an_account_without_address_and_name_is_enabled_too(api: Client, database: Database) -> None:
    nobody = Somebody("ca11ab1e08", "", "")
    with storing(database) as unit:
        make_account(unit, nobody, "clinic")
    enable(api, nobody)
    (admin,) = stored(database, Clinician)
    assert (admin.user_id, admin.email, admin.name) == (nobody.id, None, None)


def test_rule_a_repeat_answers_the_same_clinic(api: Client, database: Database) -> None:
    """Rule: if the user already administers an unmigrated clinic made this way, return it."""
    assert enable(api) == enable(api)
    assert len(stored(database, Clinic)) == len(stored(database, Clinician)) == len(stored(database, ShareCode)) == 1
    assert stored(database, Migration) == []


def test_rule_two_calls_at_once_make_one_clinic(api: Client, database: Database) -> None:
    """Rule: the repeat holds under a race as well."""
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: enable(api), range(6)))
    assert len(set(answers)) == 1
    assert len(stored(database, Clinic)) == 1


def test_an_account_that_migrated_before_gets_one_clinic_under_a_race(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_migration(unit, make_staffed_clinic(unit), ALICE, status="COMPLETED")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: enable(api), range(6)))
    assert len(set(answers)) == 1
    assert len(stored(database, Clinic)) == 2
    (migration,) = stored(database, Migration)
    assert migration.status == "COMPLETED"


def test_other_clinics_of_the_account_are_no_repeat(api: Client, database: Database) -> None:
    with storing(database) as unit:
        migrated = make_staffed_clinic(unit).id
        as_member = make_clinic(unit, is_migrated=False)
        make_clinician(unit, as_member, ALICE)
        somebody_elses = make_clinic(unit, is_migrated=False)
        make_clinician(unit, somebody_elses, BOB, "CLINIC_ADMIN")
    assert enable(api) not in {migrated, as_member.id, somebody_elses.id}


def test_accounts_that_are_no_legacy_clinics_are_refused(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_account(unit, BOB, "clinician")
    assert api.post(f"/v1/clinicians/{BOB.id}/migrate", as_=SERVICE).status == 422
    assert stored(database, Clinic) == []


@pytest.mark.parametrize("user_id", [CAROL.id, "not-an-id", "alice@harbour.example", "a11ce00001%0A", "x" * 300])
def test_unknown_users_are_not_found(api: Client, database: Database, user_id: str) -> None:
    """Any text may stand in the path; one that is no user id, even an address that somebody has, is nobody's."""
    assert api.post(f"/v1/clinicians/{user_id}/migrate", as_=SERVICE).status == 404
    assert stored(database, Clinic) == []


class _StrictAccounts(EmbeddedAccounts):
    """A directory that also answers to other words than ids, as the platform's does, must not be asked for them."""

    def find_account(self, user_id: str) -> Account | None:
        assert is_user_id(user_id)
        return super().find_account(user_id)


def test_the_directory_is_asked_for_ids_only(database: Database, config: Config) -> None:
    services = Services(config, _StrictAccounts(database))
    with reading(database) as unit:
        ctx = Preparation(Caller(SERVICE.id, CallerKind.SERVICE), unit, services, database)
        assert enable_new_clinic_experience.prepare(ctx, {"user_id": ALICE.id}).account.user_id == ALICE.id
        with pytest.raises(AccountNotFound):
            enable_new_clinic_experience.prepare(ctx, {"user_id": ALICE.email})


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.post(f"/v1/clinicians/{ALICE.id}/migrate").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB])
def test_is_for_services(api: Client, database: Database, caller: Somebody) -> None:
    assert api.post(f"/v1/clinicians/{ALICE.id}/migrate", as_=caller).status == 403
    assert api.post("/v1/clinicians/not-an-id/migrate", as_=caller).status == 403
    assert stored(database, Clinic) == []


def test_the_number_of_statements_is_fixed(api: Client, database: Database) -> None:
    with counting(database) as statements:
        enable(api)
    # Account, addresses, profile; two to wait for others, one to look; clinic, code, clinician, event; the answer.
    assert len([sql for sql in statements if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")]) <= 14
