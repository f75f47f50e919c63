"""What the tests of the identity provider share."""

from __future__ import annotations

import pytest

from clinic_service.errors import ServiceError
from clinic_service.gateways.openid import HttpOpenId
from tests.gateways.identity_provider import CLIENT_ID, CLIENT_SECRET


def refusal_of(openid: HttpOpenId, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        openid.find_subject(client_id, client_secret)
    return refusal.value
