"""Stored answers: a request with an Idempotency-Key takes effect once, and every repeat of it gets the same answer.

A request claims its key in a short transaction before anything else, even before other services are asked. The answer is
stored under the claim in the transaction of the request, so the change and the answer are stored together or not at all.
When the process ends before that, the claim expires after a while. A repeated request then takes the claim over, and the
transaction of the first request can no longer commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, null, select, tuple_, update

from clinic_service.db.dialects import insert_or_skip
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.db.types import UtcDateTime
from clinic_service.errors import Conflict, ConstraintViolation, Violation
from clinic_service.models import StoredAnswer

KEPT_FOR = timedelta(hours=24)
_POINTER = "/header/Idempotency-Key"


class KeyReused(ConstraintViolation):
    """The caller has used the key for another request."""

    message = "The idempotency key was used for another request."
    violations = (Violation(_POINTER, "unique"),)


class RequestInProgress(Conflict):
    """The request with this key is being carried out."""

    message = "A request with this idempotency key is being carried out."
    retry_after = 1
    violations = (Violation(_POINTER, "state"),)


class KeyedRequest(NamedTuple):
    """A request with a key: who sends it, and a digest of what it asks for."""

    caller: str
    key: str
    fingerprint: str


class Claim(NamedTuple):
    """The right to carry out a request with a key."""

    caller: str
    key: str
    claim_id: str


class Answered(NamedTuple):
    """The answer that a request with a key got."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class _Stored(NamedTuple):
    fingerprint: str
    claimed_until: datetime
    expires_time: datetime
    status: int | None
    headers: Any
    body: bytes | None


_THIS = and_(StoredAnswer.caller == bindparam("of_caller"), StoredAnswer.key == bindparam("of_key"))
_CLAIMED = and_(_THIS, StoredAnswer.claim_id == bindparam("of_claim"), StoredAnswer.status.is_(None))
_EXPIRED = (
    select(StoredAnswer.caller, StoredAnswer.key)
    .where(StoredAnswer.expires_time <= bindparam("now", type_=UtcDateTime()))
    .order_by(StoredAnswer.expires_time)
    .limit(bindparam("limit"))
)


class StoredAnswers(Repository):
    """The keys in use, and the answers stored under them."""

    _ADD = insert_or_skip(StoredAnswer)
    _LOCK = Query(
        _Stored,
        select(
            StoredAnswer.fingerprint,
            StoredAnswer.claimed_until,
            StoredAnswer.expires_time,
            StoredAnswer.status,
            StoredAnswer.headers,
            StoredAnswer.body,
        )
        .where(_THIS)
        .with_for_update(),
    )
    _TAKE_OVER = (
        update(StoredAnswer)
        .where(_THIS)
        .values(
            fingerprint=bindparam("fingerprint"),
            claim_id=bindparam("claim_id"),
            claimed_until=bindparam("claimed_until"),
            expires_time=bindparam("expires_time"),
            status=null(),
            headers=null(),
            body=null(),
        )
    )

    def claim(self, request: KeyedRequest, seconds: float) -> Claim | Answered:
        """Claim the key for `seconds`, or return the answer that the request got before.

        Raises KeyReused, and RequestInProgress while somebody else has the claim.
        """
        claim = Claim(request.caller, request.key, self._uow.new_id())
        new = {
            "fingerprint": request.fingerprint,
            "claim_id": claim.claim_id,
            "claimed_until": self._uow.now + timedelta(seconds=seconds),
            "expires_time": self._uow.now + KEPT_FOR,
        }
        without_answer = {"status": None, "headers": None, "body": None}
        if self._uow.insert(self._ADD, {"caller": request.caller, "key": request.key, **new, **without_answer}):
            return claim
        this = {"of_caller": request.caller, "of_key": request.key}
        found = self._uow.first(self._LOCK, this)
        if found is None:
            # Another request has just released the claim.
            raise RequestInProgress
        if found.expires_time > self._uow.now:
            if found.fingerprint != request.fingerprint:
                raise KeyReused
            if found.status is not None:
                return Answered(found.status, [(name, value) for name, value in found.headers], found.body or b"")
            if found.claimed_until > self._uow.now:
                raise RequestInProgress
        self._uow.change(self._TAKE_OVER, this | new)
        return claim

    _STORE = (
        update(StoredAnswer)
        .where(_CLAIMED)
        .values(status=bindparam("new_status"), headers=bindparam("new_headers"), body=bindparam("new_body"))
    )

    def store(self, claim: Claim, answer: Answered) -> None:
        """Store the answer under the claim. Raises RequestInProgress when somebody else has taken the request over."""
        new = {"new_status": answer.status, "new_headers": list(answer.headers), "new_body": answer.body}
        if not self._uow.change(self._STORE, _of(claim) | new):
            raise RequestInProgress

    _RELEASE = delete(StoredAnswer).where(_CLAIMED)

    def release(self, claim: Claim) -> None:
        """End a claim under which nothing was stored, so that the request may be repeated at once."""
        self._uow.change(self._RELEASE, _of(claim))

    _REMOVE_EXPIRED = delete(StoredAnswer).where(tuple_(StoredAnswer.caller, StoredAnswer.key).in_(_EXPIRED))

    def remove_expired(self, limit: int) -> int:
        """Remove at most `limit` expired answers. Returns how many were removed."""
        return self._uow.change(self._REMOVE_EXPIRED, {"now": self._uow.now, "limit": limit})


def _of(claim: Claim) -> dict[str, str]:
    return {"of_caller": claim.caller, "of_key": claim.key, "of_claim": claim.claim_id}
