"""Makes patients up, with everything that a clinic can store about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import orjson

from clinic_service.db.base import Base
from clinic_service.db.ids import new_id
from clinic_service.demo import people
from clinic_service.demo.summaries import summaries
from clinic_service.gateways.user_ids import new_user_id
from clinic_service.models import DataSource, DiagnosisType, Patient, PatientSite, PatientTag, Review
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.summaries.projection import project
from clinic_service.resources.summaries.repository import SummaryChange

_DAYS_OF_GROWTH = 700
_DIAGNOSES = (*DiagnosisType, DiagnosisType.TYPE_1, DiagnosisType.TYPE_2, None)
_DEVICES: tuple[list[str] | None, ...] = (["dexcom"], ["libre2", "omnipod"], [], None)
_PERMISSIONS = (("view", "upload"), ("view", "upload", "note"), ("custodian", "view", "upload", "note"))
_OTHER_RANGES: tuple[dict[str, Any], ...] = (
    {"type": "preset", "preset": "adaPregnancyType1"},
    {"type": "preset", "preset": "adaHighRisk"},
)
_SOURCES = (
    (("dexcom", "connected"),),
    (("abbott", "pending"),),
    (("dexcom", "error"), ("abbott", "connected")),
    (("twiist", "connected"),),
    (("dexcom", "pendingReconnect"),),
)


@dataclass(frozen=True)
class Surroundings:
    """The clinic that patients are made for: the ids that they refer to, and the present time."""

    clinic_id: str
    clinician_ids: Sequence[str]
    tag_ids: Sequence[str]
    site_ids: Sequence[str]
    now: datetime


@dataclass(frozen=True)
class MadePatient:
    """The rows of one patient and the changes that store the summaries. Nothing is stored yet."""

    patient: Patient
    # The other rows of the patient.
    rows: list[Base]
    summaries: list[SummaryChange]


def make_patient(where: Surroundings, number: int, share: float, random: Random) -> MadePatient:
    """Make patient number `number`. `share` (0 to 1) is the part of the clinic's present patients who came earlier."""
    patient = _patient(where, number, share, random)
    sources = random.choice(_SOURCES) if random.random() < 0.6 else ()
    patient.data_sources_set = bool(sources)
    rows = [*_tags(patient, where, random), *_sites(patient, where, random)]
    return MadePatient(
        patient,
        [*rows, *_data_sources(patient, sources, where.now)],
        list(made_up_summaries(patient, where.now, random)),
    )


def _patient(where: Surroundings, number: int, share: float, random: Random) -> Patient:
    created = where.now - timedelta(days=_DAYS_OF_GROWTH * (1 - share))
    mrn = f"MRN-{20400 + number}"
    patient = Patient(
        clinic_id=where.clinic_id,
        id=new_id(),
        user_id=new_user_id(),
        full_name=people.name(random.randrange(1 << 20)),
        birth_date=f"{random.randrange(1935, 2020)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}",
        email=f"patient.{number}@mail.example" if random.random() < 0.8 else None,
        mrn=mrn,
        mrn_key=mrn_key(mrn),
        target_devices=random.choice(_DEVICES),
        diagnosis_type=random.choice(_DIAGNOSES),
        glycemic_ranges=random.choice(_OTHER_RANGES) if random.random() < 0.1 else None,
        created_time=created,
        updated_time=where.now,
    )
    patient.permissions = random.choice(_PERMISSIONS)
    patient.reviews = _reviews(where, random)
    return patient


def _reviews(where: Surroundings, random: Random) -> list[Review]:
    """The reviews of a patient; half of all patients have one or two."""
    days_ago = sorted(random.uniform(0, 120) for _ in range(random.choice((0, 0, 1, 2))))
    return [Review(random.choice(where.clinician_ids), where.now - timedelta(days=days)) for days in days_ago]


def _tags(patient: Patient, where: Surroundings, random: Random) -> Iterable[Base]:
    """The tags of a patient; the earlier a tag is in the list, the more patients have it."""
    for place, tag_id in enumerate(where.tag_ids):
        if random.random() < 0.4 / (1 + place):
            yield PatientTag(clinic_id=patient.clinic_id, patient_id=patient.id, tag_id=tag_id)


def _sites(patient: Patient, where: Surroundings, random: Random) -> Iterable[Base]:
    for position, site_id in enumerate(random.sample(where.site_ids, random.choice((0, 1, 1, 1, 2)))):
        yield PatientSite(clinic_id=patient.clinic_id, patient_id=patient.id, site_id=site_id, position=position)


def _data_sources(patient: Patient, sources: Iterable[tuple[str, str]], now: datetime) -> Iterable[Base]:
    for position, (provider, state) in enumerate(sources):
        yield DataSource(
            clinic_id=patient.clinic_id,
            patient_id=patient.id,
            position=position,
            provider_name=provider,
            state=state,
            data_source_id=new_id(),
            modified_time=now - timedelta(days=3),
        )


def made_up_summaries(patient: Patient, now: datetime, random: Random) -> Iterable[SummaryChange]:
    """The changes that store made-up summaries of `patient`."""
    for kind, stats in summaries(random, now).items():
        projection = project(kind, stats, orjson.dumps(stats).decode())
        yield SummaryChange(patient.clinic_id, patient.id, kind, projection)
