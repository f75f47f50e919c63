"""Whom a stored Redox order is about, and what it does to that patient's subscription to reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from clinic_service.models import REDOX_REPORTS, EhrProvider
from clinic_service.resources.ehr.errors import MessageNotFound, SourceMissing
from clinic_service.resources.ehr.matching import Criterion, EhrClinic, MatchedPatient, find_patients, get_clinic
from clinic_service.resources.ehr.redox.messages import patient_data
from clinic_service.resources.ehr.subscriptions import MatchedDocument, update_subscription
from clinic_service.unit_of_work import UnitOfWork


class PatientQuery(NamedTuple):
    """How to look for the patients of an order, and whether a single one is to be subscribed; None leaves it as it is."""

    criteria: Sequence[Criterion]
    subscribe: bool | None


class Match(NamedTuple):
    """The clinic of an order, and its patients who match."""

    clinic: EhrClinic
    patients: Sequence[MatchedPatient]


def match_order(uow: UnitOfWork, order: MatchedDocument, query: PatientQuery | None) -> Match:
    """Find the clinic of a stored order and, with a query, its patients; the one patient who matches may be subscribed.

    An order without a medical record number matches nobody. Raises MessageNotFound, SourceMissing, EhrClinicNotFound and
    SourceShared; and with a query BirthDateMissing and NameMissing.
    """
    message = uow.ehr.find_message(order.id, order.data_model, order.event_type)
    if message is None:
        raise MessageNotFound
    if not message.source_id:
        raise SourceMissing
    # A patient who is to be subscribed must still match when that is stored.
    changes = query is not None and query.subscribe is not None
    clinic = get_clinic(uow, EhrProvider.REDOX, message.source_id, lock=changes)
    if query is None:
        return Match(clinic, ())
    patients = _find(uow, clinic, orjson.loads(message.payload), query.criteria)
    if query.subscribe is not None and len(patients) == 1:
        patient = uow.patients.lock(clinic.id, patients[0].user_id)
        update_subscription(uow, patient, REDOX_REPORTS, order, active=query.subscribe)
    return Match(clinic, patients)


def _find(
    uow: UnitOfWork, clinic: EhrClinic, payload: Mapping[str, Any], criteria: Sequence[Criterion]
) -> Sequence[MatchedPatient]:
    data = patient_data(payload, clinic.settings.mrn_id_type)
    return find_patients(uow, clinic.id, data, criteria) if data else ()
