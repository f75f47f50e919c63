"""What is listed in order of creation is in that order by the microsecond, whichever process made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.db.ids import IdSource
from clinic_service.gateways.accounts import Account, Profile
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.models import InviteType
from clinic_service.outbox.events import ClinicianPermissionsUpdated
from clinic_service.outbox.queue import Queue
from clinic_service.resources.clinicians import listing
from clinic_service.resources.clinicians.listing import Filters
from clinic_service.resources.patients.enrolment import Enrolment, enrol
from clinic_service.resources.patients.listing.planner import find_page
from clinic_service.resources.patients.listing.query import read_query
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.support.cast import CAROL
from tests.support.rows import LONG_AGO, make_clinic, storing

COUNT = 12


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_clinic(unit, created_time=LONG_AGO - timedelta(days=1)).id


@pytest.fixture(autouse=True)
def _processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are made by three processes by turns."""
    sources = cycle([IdSource(), IdSource(), IdSource()])
    monkeypatch.setattr("clinic_service.db.repository.new_id", lambda time: next(sources).new_id(time))


def user_id(number: int) -> str:
    """User ids, and addresses made of them, are in the opposite order."""
    return f"{COUNT - number:010x}"


def email(number: int) -> str:
    return f"{user_id(number)}@mail.example"


def add_patient(unit: UnitOfWork, clinic_id: str, number: int) -> str:
    account = Account(user_id(number), email(number), (email(number),))
    enrolment = Enrolment(account, Profile(full_name=CAROL.name), birth_date="1987-04-12")
    return enrol(unit, unit.clinics.get(clinic_id), enrolment).id


def add_member(unit: UnitOfWork, clinic_id: str, number: int) -> str:
    unit.clinicians.add(clinic_id, roles=("CLINIC_ADMIN",), user_id=user_id(number), email=email(number))
    return user_id(number)


def join_clinic(unit: UnitOfWork, _clinic_id: str, number: int) -> str:
    """The same person becomes a member of another clinic."""
    clinic = unit.clinics.add({"name": f"Clinic {number}"}, is_migrated=False)
    unit.clinicians.add(clinic.id, roles=("CLINIC_ADMIN",), user_id=CAROL.id)
    return clinic.id


def become_patient(unit: UnitOfWork, _clinic_id: str, number: int) -> str:
    """The same person becomes a patient of another clinic."""
    clinic = unit.clinics.add({"name": f"Clinic {number}"}, is_migrated=True)
    enrol(unit, clinic, Enrolment(Account(CAROL.id, "", ()), Profile(full_name=CAROL.name)))
    return clinic.id


def add_invite(unit: UnitOfWork, clinic_id: str, number: int) -> str:
    # Keys are in the order in which the newest must not come first.
    key = f"key-{number:04}"
    return unit.invites.add(clinic_id, InviteType.CLINICIAN, email=CAROL.email, creator_id="", key=key).key


def add_offer(unit: UnitOfWork, clinic_id: str, number: int) -> str:
    key = f"key-{number:04}"
    return unit.invites.add(clinic_id, InviteType.PATIENT, email="", creator_id=user_id(number), key=key).key


def add_event(unit: UnitOfWork, clinic_id: str, number: int) -> str:
    unit.outbox.add(ClinicianPermissionsUpdated(clinic_id, user_id(number), "Harbour", "Alice Archer"))
    return user_id(number)


def page_of_patients(sort: str) -> Callable[[UnitOfWork, str], list[str]]:
    query = read_query({"limit": COUNT, "offset": 0, "sort": sort, "sortType": "cgm"})
    return lambda unit, clinic_id: find_page(unit, clinic_id, query).patient_ids


def tags(unit: UnitOfWork, clinic_id: str) -> Iterable[str]:
    return (tag.id for tag in unit.clinics.describe_one(clinic_id).patient_tags)


def sites(unit: UnitOfWork, clinic_id: str) -> Iterable[str]:
    return (site.id for site in unit.clinics.describe([clinic_id])[clinic_id].sites)


def clinics(unit: UnitOfWork, clinic_id: str) -> Iterable[str]:
    return (clinic.id for clinic in unit.clinics.list({}, limit=99, offset=0) if clinic.id != clinic_id)


def due_events(unit: UnitOfWork, clinic_id: str) -> Iterable[str]:
    return (entry.payload["userId"] for entry in Queue(unit).list_due(99, ()) if entry.clinic_id == clinic_id)


OLDEST_FIRST: dict[str, tuple[Any, Any]] = {
    "tags": (lambda u, c, n: u.tags.add(c, f"Tag {n}").id, tags),
    "sites": (lambda u, c, n: u.sites.add(c, f"Site {n}").id, sites),
    "clinics": (lambda u, _, n: u.clinics.add({"name": f"Clinic {n}"}, is_migrated=True).id, clinics),
    "patients of one name": (add_patient, page_of_patients("+fullName")),
    "patients of one birth date": (add_patient, page_of_patients("-birthDate")),
    "patients without data": (add_patient, page_of_patients("-lastData")),
    "records of one patient": (
        become_patient,
        lambda u, _: (p.clinic_id for p in u.patients.list_for_user(CAROL.id, 99, 0)),
    ),
    "clinicians who go with their clinic": (
        add_member,
        lambda u, c: (one.user_id for one in u.clinicians.all_of_clinic(c)),
    ),
    "admins who are told of an offer": (add_member, lambda u, c: u.invites.ids_of_admins_with_address(c)),
    "migrations": (
        lambda u, c, n: u.migrations.add(c, user_id(n)).user_id,
        lambda u, c: (m.user_id for m in u.migrations.list_rows(c)),
    ),
    "events": (add_event, due_events),
}
NEWEST_FIRST: dict[str, tuple[Any, Any]] = {
    "clinicians": (add_member, lambda u, c: (one.user_id for one in listing.of_clinic(u, c, Filters(), 99, 0))),
    "clinicians of all clinics": (
        add_member,
        lambda u, _: (one.user_id for one in listing.of_all(u, None, None, 99, 0)),
    ),
    "memberships": (join_clinic, lambda u, _: (one.clinic_id for one in listing.of_user(u, CAROL.id, 99, 0))),
    "invitations": (add_invite, lambda u, _: (i.key for i in u.invites.list_addressed("", [CAROL.email]))),
    "offers": (add_offer, lambda u, c: (i.key for i in u.invites.list_offers(c))),
}


def make_all(database: Database, clinic_id: str, make: Any) -> list[str]:
    """So many things made one microsecond after the other, all of them within one millisecond."""
    made = []
    for number in range(COUNT):
        with clock.frozen(LONG_AGO + timedelta(microseconds=number)), storing(database) as unit:
            made.append(make(unit, clinic_id, number))
    return made


@pytest.mark.parametrize(("make", "order"), OLDEST_FIRST.values(), ids=OLDEST_FIRST)
def test_the_oldest_is_first(database: Database, clinic_id: str, make: Any, order: Any) -> None:
    made = make_all(database, clinic_id, make)
    with reading(database) as unit:
        assert list(order(unit, clinic_id)) == made


@pytest.mark.parametrize(("make", "order"), NEWEST_FIRST.values(), ids=NEWEST_FIRST)
def test_the_newest_is_first(database: Database, clinic_id: str, make: Any, order: Any) -> None:
    made = make_all(database, clinic_id, make)
    with reading(database) as unit:
        assert list(order(unit, clinic_id)) == made[::-1]


def test_the_oldest_clinic_is_the_one_to_migrate(database: Database, clinic_id: str) -> None:
    made = make_all(database, clinic_id, join_clinic)
    with reading(database) as unit:
        assert unit.migrations.find_clinic_to_migrate(CAROL.id) == made[0]


def test_the_oldest_account_is_first(database: Database) -> None:
    accounts = EmbeddedAccounts(database)
    for number in range(COUNT):
        with clock.frozen(LONG_AGO + timedelta(microseconds=number)):
            accounts.add(NewAccount(user_id(number)))
    found = [account.user_id for account, _ in accounts.list_accounts()]
    assert found == [user_id(number) for number in range(COUNT)]
