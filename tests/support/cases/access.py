"""Cases of operations on access."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import CAROL, DAVE
from tests.support.rows import make_grant


def grant_permissions_in_group(stage: Stage) -> Send:
    make_grant(stage.unit, CAROL, DAVE, "view", "custodian", "admin")
    return lambda: stage.api.post(f"/access/{CAROL.id}/{DAVE.id}", as_=CAROL, json={"view": {}, "upload": {}})
