"""Cases of operations on summaries."""

from __future__ import annotations

from random import Random

from clinic_service.resources.summaries import service
from clinic_service.resources.summaries.projection import given_summaries
from tests.support.cases import Send, Stage
from tests.support.cast import CAROL, DAVE, SERVICE
from tests.support.rows import make_clinic, make_patient, make_staffed_clinic
from tests.support.summaries import bgm_stats, cgm_stats

_SUMMARY_ID = "5f0c7d1e9a3b4c6d8e2f1a0b"


def update_patient_summary(stage: Stage) -> Send:
    _summarized(stage)
    body = {"bgmStats": bgm_stats(Random(2)), "cgmStats": cgm_stats(Random(2), id=_SUMMARY_ID)}
    return lambda: stage.api.post(f"/v1/patients/{CAROL.id}/summary", as_=SERVICE, json=body)


def delete_patient_summary(stage: Stage) -> Send:
    _summarized(stage)
    return lambda: stage.api.delete(f"/v1/summaries/{_SUMMARY_ID}/clinics", as_=SERVICE)


def _summarized(stage: Stage) -> None:
    """Carol is a patient of two clinics, which have a summary of her data."""
    clinic, other = make_staffed_clinic(stage.unit), make_clinic(stage.unit)
    for patient_of in (clinic, other):
        make_patient(stage.unit, patient_of, CAROL)
    make_patient(stage.unit, clinic, DAVE)
    older = {"cgmStats": cgm_stats(Random(1), id=_SUMMARY_ID)}
    service.update_summaries(stage.unit, CAROL.id, given_summaries(older))
