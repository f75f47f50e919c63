"""The header `Idempotency-Key`, and the stages of requests that have it: a repeat gets the answer that is stored.

`stored_answers.py` tells what happens when equal requests run at the same time, and when a process ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import orjson

from clinic_service import deadline
from clinic_service.api.exchange import RawAnswer
from clinic_service.api.request import Request
from clinic_service.db.engine import Database
from clinic_service.errors import BadRequest, Violation
from clinic_service.stored_answers import Answered, Claim, KeyedRequest
from clinic_service.unit_of_work import UnitOfWork, run

StageInUnit = Callable[[Request, UnitOfWork], None]

MAX_LENGTH = 255
# A string of structured fields (RFC 9651), or the same characters without quotes, spaces and commas.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-+\--~]+")
_ESCAPED = re.compile(r"\\(.)")
# How long the claim of a key lasts after the deadline of the request: until then its transaction has ended.
_CLAIM_SECONDS = 5.0
_REPLAYED = ("Idempotent-Replayed", "true")


def read_key(environ: dict[str, Any]) -> str | None:
    """The key of a request; None when it has none. Raises BadRequest for a header that is no key."""
    text = environ.get("HTTP_IDEMPOTENCY_KEY")
    if text is None:
        return None
    quoted = _QUOTED.fullmatch(text)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else text if _BARE.fullmatch(text) else ""
    if not 0 < len(key) <= MAX_LENGTH:
        raise BadRequest(violations=[Violation("/header/Idempotency-Key", "format", "1 to 255 visible characters")])
    return key


class IdempotencyKeys:
    """The stages of requests with a key. `admit` are the stages that can refuse a request before it claims its key."""

    def __init__(self, database: Database, admit: Sequence[StageInUnit]) -> None:
        self._database, self._admit = database, admit

    def claim(self, request: Request) -> None:
        """Claim the key of the request, or answer a repeat of a request that took effect already."""
        if request.key is None:
            return
        keyed = _keyed(request, request.key)

        def work(uow: UnitOfWork) -> Claim | Answered:
            for stage in self._admit:
                stage(request, uow)
            return uow.stored_answers.claim(keyed, (deadline.remaining() or 0) + _CLAIM_SECONDS)

        found = run(self._database, work, writes=True)
        if isinstance(found, Answered):
            request.answer = RawAnswer(found.status, found.body, [*found.headers, _REPLAYED])
            request.result, request.is_repeat = orjson.loads(found.body) if found.body else None, True
        else:
            request.claim = found

    def store_answer(self, request: Request, uow: UnitOfWork) -> None:
        """Store the answer for repeats of the request."""
        if request.claim:
            answer = request.answer
            uow.stored_answers.store(request.claim, Answered(answer.status, answer.headers, answer.body))

    def release(self, request: Request) -> None:
        """Release the claim of a request that has failed, so that it may be repeated at once.

        When the release fails too, the request may be repeated after the claim has expired.
        """
        claim = request.claim
        if claim:
            with suppress(Exception), deadline.unlimited():
                run(self._database, lambda uow: uow.stored_answers.release(claim), writes=True)


def _keyed(request: Request, key: str) -> KeyedRequest:
    """The request with its key. Repeats have the same operation, parameters and body."""
    query = request.exchange.environ.get("QUERY_STRING", "")
    content = (request.plan.operation_id, request.path, query, request.arguments.get("body"))
    digest = blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=32)
    return KeyedRequest(f"{request.caller.kind}:{request.caller.id}", key, digest.hexdigest())
