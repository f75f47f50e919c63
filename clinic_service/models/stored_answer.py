"""The answers to requests with an Idempotency-Key, which repeats of the same request get again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CALLER
from clinic_service.db.types import ExactText, Json, ObjectId


class StoredAnswer(Base):
    """A key that a caller has used, the request, and its answer.

    Until the request is carried out, the row has no answer: it is the claim of the server process that carries it out. The
    answer is stored in the transaction of the request. `body` may contain health data.
    """

    __tablename__ = "stored_answers"
    placement = BY_CALLER

    # The kind of the caller and the id, such as `person:a11ce00001`.
    caller: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    key: Mapped[str] = mapped_column(ExactText(255), primary_key=True)
    # A digest of the operation, its parameters and its body.
    fingerprint: Mapped[str] = mapped_column(ExactText(64))
    claim_id: Mapped[str] = mapped_column(ObjectId)
    # After this time, a request without an answer counts as failed.
    claimed_until: Mapped[datetime]
    expires_time: Mapped[datetime]
    status: Mapped[int | None]
    # Pairs of name and value.
    headers: Mapped[Any | None] = mapped_column(Json)
    body: Mapped[bytes | None]

    __table_args__ = (Index(None, "expires_time"),)
