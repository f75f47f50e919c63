"""Keeps made-up data out of databases with real clinics."""

from __future__ import annotations

from sqlalchemy import select

from clinic_service.errors import ServiceError
from clinic_service.models import Clinic, DemoClinic
from clinic_service.unit_of_work import UnitOfWork

# The flag that lets the demo commands write all the same.
MIX_FLAG = "--mix-with-real-data"

_REAL_CLINIC = select(Clinic.id).where(Clinic.id.not_in(select(DemoClinic.clinic_id))).limit(1)


class HoldsRealClinics(ServiceError):
    """The database holds clinics that no demo command made."""

    message = (
        "The database holds clinics that the demo commands did not make, so nothing was written. "
        f"Name another database, or add {MIX_FLAG} to put made-up clinics, accounts and patients among the real ones."
    )


def require_no_real_clinics(unit: UnitOfWork) -> None:
    """Raise HoldsRealClinics when the database holds a clinic that no demo command made."""
    if unit.first(_REAL_CLINIC, {}) is not None:
        raise HoldsRealClinics
