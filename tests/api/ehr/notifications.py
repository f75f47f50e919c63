"""What the tests of notifications share."""

from __future__ import annotations

from typing import Any

from clinic_service.models import EhrSubscription
from tests.support.rows import stored
from tests.support.xealth_site import XealthSite, event


def subscription(site: XealthSite) -> EhrSubscription:
    [made] = stored(site.database, EhrSubscription)
    return made


def send(site: XealthSite, *contexts: str, **members: Any) -> None:
    for context in contexts:
        reply = site.notify(event(context, **members))
        assert (reply.status, reply.json) == (200, None)
