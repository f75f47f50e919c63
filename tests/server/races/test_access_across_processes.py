"""What one server process changes is true for all others in the very next request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.resources.users.service import remove_from_clinics
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.databases import clear
from tests.support.processes import Answer, ServerProcess
from tests.support.races import TwoServers
from tests.support.rows import make_patient, make_staffed_clinic, storing
from tests.support.tokens import token_of

NOTHING: tuple[Any, ...] = (404, 404, [])


@pytest.fixture
def clinic_id(pair: TwoServers) -> Iterator[str]:
    """A clinic that made Carol's account, with Alice as admin and Bob as member."""
    with storing(pair.database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL, "custodian", "view", "note")
    yield clinic.id
    clear(pair.database)


def ask(server: ServerProcess, as_: Somebody, method: str, path: str, json: Any = ...) -> Answer:
    return server.request(method, path, token_of(as_), json)


def views(server: ServerProcess, clinic_id: str) -> tuple[Any, Any, Any]:
    """What Bob may do with Carol's data, what his clinic's record of her says, and what her own list of clinics says."""
    access = ask(server, BOB, "GET", f"/access/{CAROL.id}/{BOB.id}")
    record = ask(server, ALICE, "GET", f"/v1/clinics/{clinic_id}/patients/{CAROL.id}")
    own = ask(server, CAROL, "GET", f"/v1/patients/{CAROL.id}/clinics")
    return (
        sorted(access.json) if access.status == 200 else access.status,
        sorted(record.json["permissions"]) if record.status == 200 else record.status,
        [sorted(one["patient"]["permissions"]) for one in own.json],
    )


def test_access_follows_on_another_process_in_the_very_next_request(pair: TwoServers, clinic_id: str) -> None:
    one, other = pair.servers
    permissions = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}/permissions"
    names = ["custodian", "note", "view"]
    assert views(one, clinic_id) == views(other, clinic_id) == (names, names, [names])

    # Changed now here, now there, and looked at on the other one.
    assert ask(one, SERVICE, "DELETE", f"{permissions}/custodian").status == 204
    assert views(other, clinic_id) == (["note", "view"], ["note", "view"], [["note", "view"]])
    assert ask(other, CAROL, "PUT", permissions, {"upload": {}}).status == 200
    assert views(one, clinic_id) == (["upload"], ["upload"], [["upload"]])
    assert ask(one, CAROL, "DELETE", f"{permissions}/upload").status == 204
    assert views(other, clinic_id) == NOTHING
    assert ask(one, CAROL, "POST", f"/access/{CAROL.id}/{BOB.id}", {"view": {}}).json == {"view": {}}
    assert views(other, clinic_id) == (["view"], 404, [])


def test_a_clinician_who_is_removed_on_one_process_is_refused_by_another_at_once(
    pair: TwoServers, clinic_id: str
) -> None:
    one, other = pair.servers
    record = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
    assert ask(other, BOB, "GET", record).status == 200
    assert ask(one, ALICE, "DELETE", f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}").status == 200
    assert ask(other, BOB, "GET", record).status == 403
    assert ask(other, BOB, "GET", f"/access/{CAROL.id}/{BOB.id}").status == 404


def test_a_patient_who_is_removed_on_one_process_is_gone_on_another_at_once(pair: TwoServers, clinic_id: str) -> None:
    one, other = pair.servers
    assert ask(one, ALICE, "DELETE", f"/v1/clinics/{clinic_id}/patients/{CAROL.id}").status == 204
    assert views(other, clinic_id) == NOTHING


def test_an_account_that_is_removed_is_refused_by_all_processes_at_once(pair: TwoServers, clinic_id: str) -> None:
    accounts = EmbeddedAccounts(pair.database)
    accounts.add(NewAccount(BOB.id))
    own = f"/v1/clinicians/{BOB.id}/clinics"
    record = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
    answers = [ask(server, BOB, "GET", path).status for server in pair.servers for path in (own, record)]
    assert answers == [200] * 4
    accounts.delete(BOB.id, remove_from_clinics)
    answers = [ask(server, BOB, "GET", path).status for server in pair.servers for path in (own, record)]
    assert answers == [401] * 4
    accounts.add(NewAccount(BOB.id))
    assert [ask(server, BOB, "GET", own).json for server in pair.servers] == [[], []]
