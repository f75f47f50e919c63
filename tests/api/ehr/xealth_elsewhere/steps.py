"""What the tests of orders share, when accounts and tokens are those of other systems."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from clinic_service import clock
from clinic_service.models import EhrSubscription, Patient, Reservation, XealthPreorder
from tests.support.client import Reply
from tests.support.platform import Platform
from tests.support.rows import stored
from tests.support.xealth_site import EMAIL, NOW, XealthSite, event, with_input


def enter(site: XealthSite, **person: Any) -> Reply:
    return site.preorder(with_input({"patient": {"email": EMAIL, "connectDexcom": True} | person}))


def notify(site: XealthSite, context: str = "new", **members: Any) -> Reply:
    return site.notify(event(context, **members))


def assert_made_once(site: XealthSite, there: Platform) -> None:
    """One patient with an active subscription, whose account is the only one; nothing is under way."""
    [patient] = stored(site.database, Patient)
    assert set(there.users) == {patient.user_id}
    assert [row.active for row in stored(site.database, EhrSubscription)] == [True]
    assert stored(site.database, Reservation) == []
    assert [row.used_time is None for row in stored(site.database, XealthPreorder)] == [False]


def deliver_all(site: XealthSite) -> None:
    """What ten minutes bring about."""
    with clock.frozen(NOW + timedelta(minutes=10)):
        while site.deliver():
            pass
