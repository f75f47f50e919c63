"""Cases of operations on tags."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.cases import Send, Stage
from tests.support.cast import ALICE, CAROL, DAVE, SERVICE
from tests.support.rows import make_patient, make_staffed_clinic, make_tag, tag_patient


class _Tagged(NamedTuple):
    clinic: str
    tag: str


def create_patient_tag(stage: Stage) -> Send:
    clinic, _ = _tagged(stage)
    return lambda: stage.api.post(f"{clinic}/patient_tags", as_=ALICE, json={"name": "Pens"})


def update_patient_tag(stage: Stage) -> Send:
    clinic, tag = _tagged(stage)
    return lambda: stage.api.put(f"{clinic}/patient_tags/{tag}", as_=ALICE, json={"name": "Pens"})


def delete_patient_tag(stage: Stage) -> Send:
    clinic, tag = _tagged(stage)
    return lambda: stage.api.delete(f"{clinic}/patient_tags/{tag}", as_=ALICE)


def convert_patient_tag_to_site(stage: Stage) -> Send:
    clinic, tag = _tagged(stage)
    return lambda: stage.api.post(f"{clinic}/patient_tags/{tag}/site", as_=SERVICE)


def assign_patient_tag_to_clinic_patients(stage: Stage) -> Send:
    clinic, tag = _tagged(stage)
    return lambda: stage.api.post(f"{clinic}/patients/assign_tag/{tag}", as_=ALICE, json=[CAROL.id, DAVE.id])


def delete_patient_tag_from_clinic_patients(stage: Stage) -> Send:
    clinic, tag = _tagged(stage)
    return lambda: stage.api.post(f"{clinic}/patients/delete_tag/{tag}", as_=ALICE, json=[CAROL.id, DAVE.id])


def _tagged(stage: Stage) -> _Tagged:
    """The path of a clinic and the id of a tag that Carol carries, and Dave does not."""
    clinic = make_staffed_clinic(stage.unit)
    tag = make_tag(stage.unit, clinic, "Pump")
    tag_patient(stage.unit, make_patient(stage.unit, clinic, CAROL), tag)
    make_patient(stage.unit, clinic, DAVE)
    return _Tagged(f"/v1/clinics/{clinic.id}", tag.id)
