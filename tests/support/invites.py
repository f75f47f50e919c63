"""Invitations to start from, and requests that meet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.models import Clinic, Invite, InviteStatus, MembershipRestriction, OutboxEntry
from clinic_service.unit_of_work import UnitOfWork
from tests.conftest import SECRET
from tests.support.cast import Somebody
from tests.support.client import Reply
from tests.support.meeting import meeting
from tests.support.rows import make_clinician, make_invite, stored, storing
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
UNKNOWN_KEY = "bm9ib2R5IGhhcyB0aGlzIGludml0YXRp"


def make_key() -> str:
    """A key in its proper form; later ones sort behind earlier ones."""
    return f"{new_id()}-key_001"


def make_pending(unit: UnitOfWork, clinic: Clinic, person: Somebody, *roles: str, **values: Any) -> str:
    """A clinician who is invited by the person's address, with the invitation; gives the key."""
    key: str = values.pop("key", None) or make_key()
    email: str = values.pop("email", person.email)
    make_clinician(unit, clinic, person, *roles, user_id=None, invite_id=key, email=email, name=None)
    make_invite(unit, clinic, key=key, email=email, **values)
    return key


def make_offer(unit: UnitOfWork, clinic: Clinic, person: Somebody, *permissions: str, **values: Any) -> str:
    """An offer of access, by default of `view`, that waits and expires a week after `NOW`; gives the key."""
    defaults: dict[str, Any] = {
        "key": make_key(),
        "type": "careteam_invitation",
        "creator_id": person.id,
        "email": person.email,
        "context": {name: {} for name in permissions or ("view",)},
        "expires_at": NOW + WEEK,
    }
    return make_invite(unit, clinic, **defaults | values).key


def restrict(unit: UnitOfWork, clinic: Clinic, *entries: tuple[str, str | None]) -> None:
    """Admit only these domains, each perhaps only through an identity provider."""
    for position, (domain, idp) in enumerate(entries):
        unit.session.add(
            MembershipRestriction(clinic_id=clinic.id, position=position, email_domain=domain, required_idp=idp)
        )
    unit.flush()


def invite_of(database: Database, key: str) -> Invite:
    """The invitation as it stands."""
    (found,) = (invite for invite in stored(database, Invite) if invite.key == key)
    return found


def status_of(database: Database, key: str) -> InviteStatus:
    return invite_of(database, key).status


def mails(database: Database) -> list[OutboxEntry]:
    """The mails in the outbox."""
    return [entry for entry in stored(database, OutboxEntry) if entry.kind.endswith("_invitation")]


def session_of(person: Somebody, provider: str) -> dict[str, str]:
    """The header of a session that the person began through this identity provider."""
    claims = {"usr": person.id, "svr": "no", "exp": datetime.now(UTC) + timedelta(hours=1)}
    token = jwt.encode(claims | {"identity_provider": provider}, SECRET, algorithm="HS256")
    return {"X-Tidepool-Session-Token": token}


def at_once(database: Database, clinic_id: str, *calls: Callable[[], Reply]) -> list[int]:
    """The statuses, sorted, of requests that all find the clinic as it is, and only then may change it."""
    with ThreadPoolExecutor(len(calls)) as pool, meeting(database) as met:
        with storing(database) as unit:
            unit.clinics.lock(clinic_id)
            running = [pool.submit(call) for call in calls]
            met.wait_for(running)
        return sorted(call.result(timeout=60).status for call in running)


def statements_of(database: Database, call: Callable[[], Reply]) -> int:
    """How many statements a successful request sends, those of the directory included."""
    with counting(database) as sent:
        reply = call()
    assert reply.status == 200, reply.json
    return len(sent)
