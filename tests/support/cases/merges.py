"""Cases of merges of clinics."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import SERVICE
from tests.support.merges import make_full_pair


def merge_clinic(stage: Stage) -> Send:
    pair = make_full_pair(stage.unit)
    return lambda: stage.api.post(pair.path, as_=SERVICE, json=pair.body)


def generate_merge_report(stage: Stage) -> Send:
    pair = make_full_pair(stage.unit)
    path = f"/v1/clinics/{pair.target}/reports/merge"
    return lambda: stage.api.post(path, as_=SERVICE, json=pair.body)
