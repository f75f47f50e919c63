"""What the service asks of a keeper of restricted tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from clinic_service.errors import BadGateway

# How long a token is good for when nothing else is asked for, and at most.
DEFAULT_LIFETIME = timedelta(hours=1)
MAX_LIFETIME = timedelta(days=90)
_ID = re.compile("[0-9a-z]{32}")


class RestrictedTokensUnavailable(BadGateway):
    """The keeper gives no answer, or none in time."""

    message = "The tokens of reports cannot be made or checked just now."


@dataclass(frozen=True, slots=True)
class RestrictedToken:
    """A token, which is good until `expires`.

    `paths` are the prefixes of the addresses that it opens; None for everything that the user may open.
    """

    id: str = field(repr=False)
    user_id: str
    expires: datetime
    paths: tuple[str, ...] | None = None


class RestrictedTokens(Protocol):
    """A keeper of restricted tokens. All failures of another system are BadGateway."""

    def create(
        self, user_id: str, *, paths: Sequence[str] | None = None, expires: datetime | None = None
    ) -> RestrictedToken:
        """A new token for the data of the user: good for an hour unless `expires` says otherwise, at most 90 days."""

    def find(self, token_id: str) -> RestrictedToken | None:
        """The token with this id; None when it was never made or is no longer good."""


class UnconfiguredRestrictedTokens:
    """Stands in where nothing needs such tokens."""

    def create(
        self,
        user_id: str,  # noqa: ARG002
        *,
        paths: Sequence[str] | None = None,  # noqa: ARG002
        expires: datetime | None = None,  # noqa: ARG002
    ) -> RestrictedToken:
        raise RestrictedTokensUnavailable

    def find(self, token_id: str) -> RestrictedToken | None:  # noqa: ARG002
        raise RestrictedTokensUnavailable


def is_token_id(text: str) -> bool:
    """Whether `text` has the form of a restricted token."""
    return _ID.fullmatch(text) is not None
