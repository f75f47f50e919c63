"""The common parts of all requests of Xealth: the deployment of a clinic, and a patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clinic_service.errors import Violation
from clinic_service.models import EhrProvider
from clinic_service.resources.ehr import matching
from clinic_service.resources.ehr.errors import EhrClinicNotFound, SeveralPatients, SourceShared
from clinic_service.resources.ehr.matching import Criterion, EhrClinic, MatchedPatient, PatientData
from clinic_service.unit_of_work import UnitOfWork


def find_clinic(uow: UnitOfWork, body: Mapping[str, Any], *, lock: bool = False) -> EhrClinic | None:
    """The clinic of the deployment that the request names, as `matching.find_clinic`. Raises SourceShared."""
    try:
        return matching.find_clinic(uow, EhrProvider.XEALTH, body["deployment"], lock=lock)
    except SourceShared:
        raise SourceShared(violations=[Violation("/body/deployment", "unique")]) from None


def get_clinic(uow: UnitOfWork, body: Mapping[str, Any], *, lock: bool = False) -> EhrClinic:
    """As `find_clinic`. Raises EhrClinicNotFound as well."""
    clinic = find_clinic(uow, body, lock=lock)
    if clinic is None:
        raise EhrClinicNotFound
    return clinic


def find_patient(
    uow: UnitOfWork, clinic: EhrClinic, data: PatientData, criterion: Criterion, *, place: str = "/body/patientIdentity"
) -> MatchedPatient | None:
    """The matching patient of the clinic; None without a match.

    Raises SeveralPatients, whose violation points to `place` in the request.
    """
    found: Sequence[MatchedPatient] = matching.find_patients(uow, clinic.id, data, [criterion])
    if len(found) > 1:
        raise SeveralPatients.at(place)
    return found[0] if found else None
