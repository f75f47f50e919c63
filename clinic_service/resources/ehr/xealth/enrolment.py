"""Enrols patients of a clinic in the Xealth program by placing an order for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from clinic_service.errors import BadGateway, ConstraintViolation
from clinic_service.gateways.xealth import XealthApi
from clinic_service.resources.ehr.matching import EhrClinic
from clinic_service.resources.ehr.overview import ListedPatient
from clinic_service.resources.ehr.xealth.programs import PROGRAM_TITLE

ORIGINS = ("xealth", "epic", "cerner", "initiate")
_PARTNER_ID = "tidepool"


class ProgramMissing(ConstraintViolation):
    message = "The EHR settings of the clinic name no program."


class Enrolled(NamedTuple):
    """A patient for whom an order was placed; `failure` is the reason when that failed."""

    patient: ListedPatient
    failure: str | None


def program_of(clinic: EhrClinic) -> str:
    """The id of the clinic's program. Raises ProgramMissing."""
    codes = clinic.settings.procedure_codes
    program: str | None = codes and codes.create_account_and_enable_reports
    if not program:
        raise ProgramMissing
    return program


def enrol(xealth: XealthApi, clinic: EhrClinic, patients: list[ListedPatient], origin: str) -> Iterator[Enrolled]:
    """Place an order for each patient. Each must have a medical record number. A failed order does not stop the others.

    A repeated call places another order until the event of the first one has arrived. Raises ProgramMissing.
    """
    program = program_of(clinic)
    for patient in patients:
        try:
            xealth.create_order(clinic.settings.source_id, _order(clinic, program, patient, origin))
        except BadGateway as error:
            yield Enrolled(patient, error.message)
        else:
            yield Enrolled(patient, None)


def _order(clinic: EhrClinic, program: str, patient: ListedPatient, origin: str) -> dict[str, Any]:
    return {
        "orderType": "enrollment",
        "partnerId": _PARTNER_ID,
        "programId": program,
        "programTitle": PROGRAM_TITLE,
        "patientId": {"id": patient.mrn, "type": clinic.settings.mrn_id_type, "origin": origin},
    }
