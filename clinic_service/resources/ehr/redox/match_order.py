"""Finds the clinic and the patients of a stored Redox order, and changes the subscription of the patient."""

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
    """How to find the patients of an order, and whether to subscribe a single match; None changes no subscription."""

    criteria: Sequence[Criterion]
    subscribe: bool | None


class Match(NamedTuple):
    """The clinic of an order, and its patients who match."""

    clinic: EhrClinic
    patients: Sequence[MatchedPatient]


def match_order(uow: UnitOfWork, order: MatchedDocument, query: PatientQuery | None) -> Match:
    """Find the clinic of a stored order and, with a query, its patients. If exactly one matches, it can be subscribed.

    An order without a medical record number matches no patient. Raises MessageNotFound, SourceMissing, EhrClinicNotFound
    and SourceShared; and with a query BirthDateMissing and NameMissing.
    """
    message = uow.ehr.find_message(order.id, order.data_model, order.event_type)
    if message is None:
        raise MessageNotFound
    if not message.source_id:
        raise SourceMissing
    # The lock ensures that the patient still matches when the subscription is stored.
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
