"""An identity provider, and the gateway to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clinic_service.gateways.openid import HttpOpenId
from tests.gateways.identity_provider import IdentityProvider, identity_provider
from tests.support.http_server import call_timeout


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


@pytest.fixture
def openid(provider: IdentityProvider, request: pytest.FixtureRequest) -> HttpOpenId:
    return HttpOpenId(provider.config(), seconds=call_timeout(request))
