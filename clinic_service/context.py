"""Context: the first argument of every handler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from clinic_service.auth.caller import Caller
from clinic_service.config import Config
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.unit_of_work import UnitOfWork

T = TypeVar("T")


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
        """The sender of the mails of this request, for the limits on mails."""
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


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, from which links lead to the other pages. `body` is that of the operation's success.

    `offset` and `limit` are those of the request. `has_more`: entries follow after this page.
    """

    body: Any
    offset: int
    limit: int
    has_more: bool

    @classmethod
    def of(cls, entries: Sequence[T], offset: int, limit: int, dump: Callable[[Sequence[T]], Any]) -> Self:
        """The page of a list of which `limit` + 1 entries were asked for, to learn whether more follow.

        `dump` makes the body of the entries that belong to the page.
        """
        return cls(dump(entries[:limit]), offset, limit, len(entries) > limit)
