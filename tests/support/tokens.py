"""Session tokens for servers in processes of their own, whose secret is that of the tests."""

from __future__ import annotations

from datetime import timedelta

from clinic_service.gateways.tokens import mint
from tests.conftest import SECRET
from tests.support.cast import Somebody


def token_of(somebody: Somebody, secret: str = SECRET) -> str:
    """A token of a person or a service. It outlasts a test of hours."""
    return mint(secret, somebody.id, service=somebody.is_service, lifetime=timedelta(hours=8))
