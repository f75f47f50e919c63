"""MergeClinic: POST /v1/clinics/{clinicId}/merge"""

from __future__ import annotations

from clinic_service.db.engine import Database
from clinic_service.resources.summaries.reconcile import compare
from tests.support.cast import SERVICE
from tests.support.client import Client
from tests.support.merges import make_full_pair
from tests.support.rows import storing


def test_smoke(api: Client, database: Database) -> None:
    with storing(database) as unit:
        pair = make_full_pair(unit)
    reply = api.post(pair.path, as_=SERVICE, json=pair.body)
    assert (reply.status, reply.json) == (200, None)
    assert list(compare(database)) == []
