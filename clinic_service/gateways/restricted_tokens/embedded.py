"""Restricted tokens in this program's database, for servers without an auth service.

Only a hash of a token is stored, so that a reader of the database cannot use the token.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import bindparam, delete, select

from clinic_service import clock, models
from clinic_service.db.engine import Database
from clinic_service.db.prepared import insert_into
from clinic_service.gateways.restricted_tokens.protocol import DEFAULT_LIFETIME, MAX_LIFETIME, IssuedRestrictedToken
from clinic_service.unit_of_work import UnitOfWork, run

_ALPHABET = string.digits + string.ascii_lowercase
_LENGTH = 32

_TOKEN = models.RestrictedToken
_ADD = insert_into(_TOKEN, "hash", "user_id", "paths", "created_time", "expiration_time")
_REMOVE_EXPIRED = delete(_TOKEN).where(_TOKEN.expiration_time <= bindparam("now"))


class EmbeddedRestrictedTokens:
    """The tokens in `database`. Expired tokens are deleted when a new one is created."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, user_id: str, *, paths: Sequence[str] | None = None, expires: datetime | None = None
    ) -> IssuedRestrictedToken:
        now = clock.now()
        latest = now + MAX_LIFETIME
        token = IssuedRestrictedToken(
            id="".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)),
            user_id=user_id,
            expires=min(expires or now + DEFAULT_LIFETIME, latest),
            paths=None if paths is None else tuple(paths),
        )
        run(self._database, lambda unit: _add(unit, token), writes=True)
        return token

    _FIND = select(_TOKEN.user_id, _TOKEN.paths, _TOKEN.expiration_time).where(
        _TOKEN.hash == bindparam("hash"), _TOKEN.expiration_time > bindparam("now")
    )

    def find(self, token_id: str) -> IssuedRestrictedToken | None:
        asked = {"hash": _hash(token_id), "now": clock.now()}
        row = run(self._database, lambda unit: unit.first(self._FIND, asked), writes=False)
        if row is None:
            return None
        paths = None if row.paths is None else tuple(row.paths)
        return IssuedRestrictedToken(token_id, row.user_id, row.expiration_time, paths)


def _add(unit: UnitOfWork, token: IssuedRestrictedToken) -> None:
    unit.change(_REMOVE_EXPIRED, {"now": unit.now})
    row = {
        "hash": _hash(token.id),
        "user_id": token.user_id,
        "paths": None if token.paths is None else list(token.paths),
        "created_time": unit.creation_time,
        "expiration_time": token.expires,
    }
    unit.insert(_ADD, row)


def _hash(token_id: str) -> str:
    return sha256(token_id.encode()).hexdigest()
