"""Cases of operations on sites."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, CAROL, DAVE, SERVICE
from tests.support.rows import make_patient, make_site, make_staffed_clinic, place_patient


class _Sites(NamedTuple):
    path: str
    wing: str
    annexe: str


def create_site(stage: Stage) -> Send:
    sites = _sites(stage)
    return lambda: stage.api.post(sites.path, as_=ALICE, json={"name": "Harbour"})


def update_site(stage: Stage) -> Send:
    sites = _sites(stage)
    return lambda: stage.api.put(f"{sites.path}/{sites.wing}", as_=ALICE, json={"name": "South Wing"})


def delete_site(stage: Stage) -> Send:
    sites = _sites(stage)
    return lambda: stage.api.delete(f"{sites.path}/{sites.wing}", as_=ALICE)


def merge_site(stage: Stage) -> Send:
    sites = _sites(stage)
    body = {"id": sites.annexe, "name": "Annexe"}
    return lambda: stage.api.post(f"{sites.path}/{sites.wing}/merge", as_=SERVICE, json=body)


def _sites(stage: Stage) -> _Sites:
    """A wing with Carol, and an annexe with Carol and Dave."""
    clinic = make_staffed_clinic(stage.unit)
    wing, annexe = make_site(stage.unit, clinic, "North Wing"), make_site(stage.unit, clinic, "Annexe")
    place_patient(stage.unit, make_patient(stage.unit, clinic, CAROL), wing, annexe)
    place_patient(stage.unit, make_patient(stage.unit, clinic, DAVE), annexe)
    return _Sites(f"/v1/clinics/{clinic.id}/sites", wing.id, annexe.id)
