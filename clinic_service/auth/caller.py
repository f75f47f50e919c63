"""Caller: the person or service that a verified token identifies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CallerKind(StrEnum):
    """What a token can identify. Partners prove themselves with a secret and have no token."""

    PERSON = "person"
    SERVICE = "service"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class Caller:
    """`id` is the user id of a person, or the name of a service or partner.

    `identity_provider` is the identity provider with which a person signed in; None when it is not known.
    """

    id: str
    kind: CallerKind
    identity_provider: str | None = None

    @property
    def is_service(self) -> bool:
        """Whether the caller is another service, not a person."""
        return self.kind is CallerKind.SERVICE

    @property
    def person_id(self) -> str | None:
        """The caller's user id when a person acts, None when a service does."""
        return self.id if self.kind is CallerKind.PERSON else None
