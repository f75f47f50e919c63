"""AuditRecord: the record of one request in the audit trail. The fields of `AuditRecord` are the recorded facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from clinic_service import clock

# The hash before the first record of a chain.
NO_HASH = "0" * 64


class Outcome(StrEnum):
    """The outcome of a request."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    """Answered with a status of 400 to 499."""
    FAILED = "failed"
    """Answered with a status of 500 or more."""

    @classmethod
    def of(cls, status: int) -> Outcome:
        """The outcome that a status means."""
        if status < 400:
            return cls.ALLOWED
        return cls.REFUSED if status < 500 else cls.FAILED


class AuditRecord(NamedTuple):
    """One request: who asked for what, about whom, and with what outcome. JSON has the same names of fields.

    `caller` and `kind` are None when nobody could be identified. `role` is the caller's role in the clinic, where it was
    looked up. `subject` is the user id of the person whose data it is about; `patients` the number of patients, for a list.
    `changed` names members of the request's body, and is None when there are none.
    """

    time: datetime
    request: str
    operation: str
    outcome: str
    status: int
    caller: str | None = None
    kind: str | None = None
    role: str | None = None
    clinic: str | None = None
    subject: str | None = None
    patients: int | None = None
    changed: Sequence[str] | None = None

    def document(self) -> dict[str, Any]:
        """The record as a JSON object, without the members that have no value."""
        document = {name: value for name, value in zip(_FIELDS, self, strict=True) if value is not None}
        document["time"] = clock.to_wire(self.time)
        return document

    def text(self) -> bytes:
        """The record as one JSON object, always in the same order."""
        return orjson.dumps(self.document())

    @classmethod
    def read(cls, document: dict[str, Any]) -> AuditRecord:
        """The record that `document` made. Members that records do not have are ignored."""
        values = {name: document[name] for name in _FIELDS if name in document}
        return cls(**values | {"time": clock.from_wire(values["time"])})


_FIELDS = AuditRecord._fields


def linked(previous: str, text: bytes) -> str:
    """The hash of a record that follows the one with the hash `previous`."""
    return sha256(previous.encode() + text).hexdigest()
