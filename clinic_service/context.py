"""Context: what every handler receives first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clinic_service.auth.caller import Caller
from clinic_service.config import Config
from clinic_service.outbox.limits import MailSender
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Context:
    """One request as the domain sees it: who calls, the transaction, and the settings.

    It holds no gateway: other services are asked in a preparation, before the transaction (see `preparation.py`).
    """

    caller: Caller
    uow: UnitOfWork
    config: Config

    @property
    def mail_sender(self) -> MailSender:
        """Whose request for mail this is."""
        return MailSender(self.caller.person_id, self.config)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is more than the body of the operation's success: another status, media type or header.

    `body` is text or bytes unless the media type is JSON. Header names and media type are those the spec declares.
    """

    status: int
    body: Any = None
    media_type: str = "application/json"
    headers: Sequence[tuple[str, str]] = ()
