"""The interface of a store of restricted tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from clinic_service.errors import BadGateway

# The default and the maximum lifetime of a token.
DEFAULT_LIFETIME = timedelta(hours=1)
MAX_LIFETIME = timedelta(days=90)
_ID = re.compile("[0-9a-z]{32}")


class RestrictedTokensUnavailable(BadGateway):
    """The store gives no answer, or none in time."""

    message = "The tokens of reports cannot be made or checked just now."


@dataclass(frozen=True, slots=True)
class IssuedRestrictedToken:
    """A token, which is valid until `expires`.

    `paths` are the prefixes of the paths that it gives access to; None for everything that the user has access to.
    """

    id: str = field(repr=False)
    user_id: str
    expires: datetime
    paths: tuple[str, ...] | None = None


class RestrictedTokens(Protocol):
    """A store of restricted tokens. All failures of another system are BadGateway."""

    def create(
        self, user_id: str, *, paths: Sequence[str] | None = None, expires: datetime | None = None
    ) -> IssuedRestrictedToken:
        """Create a token for the data of the user. It is valid until `expires`, by default for an hour, at most 90 days."""

    def find(self, token_id: str) -> IssuedRestrictedToken | None:
        """The token with this id; None when it was never created or has expired."""


class UnconfiguredRestrictedTokens:
    """The implementation for deployments without restricted tokens."""

    def create(
        self,
        user_id: str,  # noqa: ARG002
        *,
        paths: Sequence[str] | None = None,  # noqa: ARG002
        expires: datetime | None = None,  # noqa: ARG002
    ) -> IssuedRestrictedToken:
        raise RestrictedTokensUnavailable

    def find(self, token_id: str) -> IssuedRestrictedToken | None:  # noqa: ARG002
        raise RestrictedTokensUnavailable


def is_token_id(text: str) -> bool:
    """Whether `text` has the form of a restricted token."""
    return _ID.fullmatch(text) is not None
