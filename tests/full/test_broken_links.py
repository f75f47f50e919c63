"""A link to PostgreSQL that breaks at each statement of a request, and at its COMMIT: no effect is wrong or doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import func, select

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.models import AuditEntry, Clinic, Clinician, OutboxEntry, ShareCode
from clinic_service.unit_of_work import reading
from tests.conftest import SECRET
from tests.support.breaking_link import Break, BreakingLink, breaking_link
from tests.support.cast import ALICE
from tests.support.client import Client, Reply
from tests.support.databases import create_database
from tests.support.errors import spec_apis
from tests.support.gates import wait_until
from tests.support.outages import SLOWNESS, report, shown
from tests.support.rows import make_account, storing

RECOVERED_SECONDS = 2 * SLOWNESS
# For a link that stays silent.
REQUEST_SECONDS = 3


@pytest.fixture
def url(postgresql_url: str) -> Iterator[str]:
    with create_database(postgresql_url) as url:
        schema.upgrade(url)
        yield url


@pytest.fixture
def direct(url: str) -> Iterator[Database]:
    """The database without the link."""
    database = Database(url)
    with storing(database) as unit:
        make_account(unit, ALICE)
    yield database
    database.dispose()


@pytest.fixture
def link(url: str) -> Iterator[BreakingLink]:
    with breaking_link(url) as link:
        yield link


@pytest.fixture
def api(link: BreakingLink, direct: Database, tmp_path: Path) -> Iterator[Client]:  # noqa: ARG001 - with an account
    database = Database(link.url)
    config = Config(
        database_url=link.url,
        session_secret=SECRET,
        audit_folder=str(tmp_path / "audit"),
        request_seconds=REQUEST_SECONDS,
    )
    yield Client(create_app(config, database, apis=spec_apis()), SECRET)
    database.dispose()


def create_clinic(api: Client, name: str) -> Reply:
    body = {"name": name, "preferredBgUnits": "mg/dL"}
    return api.post("/v1/clinics", as_=ALICE, json=body, headers={"X-Request-Id": name})


class Parts(NamedTuple):
    """How many rows there are of a clinic, and of what is stored with it."""

    clinics: int
    share_codes: int
    clinicians: int
    events: int
    audit_entries: int


NOTHING = Parts(0, 0, 0, 0, 0)


def parts_of(direct: Database, name: str) -> Parts:
    """The parts of the clinic of that name, whose request had the same id."""
    ids = select(Clinic.id).where(Clinic.name == name)
    found = (Clinic.id, ShareCode.clinic_id, Clinician.clinic_id, OutboxEntry.clinic_id)
    wanted = [*(column.in_(ids) for column in found), AuditEntry.request_id == name]
    with reading(direct) as unit:
        return Parts(*(unit.execute(select(func.count()).where(one)).scalar_one() for one in wanted))


def statements_of(api: Client, link: BreakingLink) -> int:
    """The number of statements, BEGIN and COMMIT included, of a request on connections that are open."""
    for name in ("first", "whole"):
        link.arm(0, Break.RESET)
        assert create_clinic(api, name).status == 200
    return link.statements


def test_a_link_that_breaks_at_any_statement(
    api: Client, link: BreakingLink, direct: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    recovered, stored = [], []
    total = statements_of(api, link)
    assert total >= 5
    for how in (Break.CUT_BEFORE, Break.CUT_AFTER, Break.RESET):
        for number in range(1, total + 1):
            name = f"{how}-{number}"
            link.arm(number, how)
            reply = create_clinic(api, name)
            assert link.is_broken, name
            if is_stored_unknown(direct, reply, name):
                stored.append(name)
            began = time.monotonic()
            wait_until(partial(succeeds, api, f"after-{name}"))
            recovered.append(time.monotonic() - began)
            assert api.get("/live").status == 200
    report(capsys, f"{3 * total} broken links; stored although the answer was 503: {stored}; again: {shown(recovered)}")
    # Only the answer to a COMMIT, which is the last statement, can be lost after its effect.
    assert stored == [f"{Break.CUT_AFTER}-{total}"]
    assert max(recovered) < RECOVERED_SECONDS


def succeeds(api: Client, name: str) -> bool:
    return create_clinic(api, name).status == 200


def test_a_link_that_stalls_at_any_statement(
    api: Client, link: BreakingLink, direct: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    waited = []
    total = statements_of(api, link)
    for number in range(1, total + 1):
        name = f"stall-{number}"
        link.arm(number, Break.STALL)
        began = time.monotonic()
        reply = create_clinic(api, name)
        waited.append(time.monotonic() - began)
        assert link.is_broken, name
        assert not is_stored_unknown(direct, reply, name)
        assert succeeds(api, f"after-{name}")
    report(capsys, f"{total} stalled links, answers after: {shown(waited)}")
    assert max(waited) < REQUEST_SECONDS + RECOVERED_SECONDS


def is_stored_unknown(direct: Database, reply: Reply, name: str) -> bool:
    """Whether the clinic is stored although the answer does not tell. It is stored whole, once, or not at all."""
    parts = parts_of(direct, name)
    assert parts in (NOTHING, parts_of(direct, "whole")), name
    if reply.status == 200:
        assert parts != NOTHING, name
        return False
    assert reply.status == 503, (name, reply)
    assert int(reply.headers["Retry-After"]) > 0
    return parts != NOTHING
