"""Creates a patient together with a custodial account.

There are three steps: a transaction checks the request and reserves a place of the clinic's plan; the directory creates the
account while no transaction is open; another transaction stores the record. An account without a record would block its
address permanently, so the removal of the account is scheduled (see `changes.py`) before the directory is called. If the
caller can choose the id of the account, as in the embedded directory, the scheduled event names the id. Otherwise it names
the address, the clinic and the time until the directory returns the id. If the process ends before that, the relay finds
the account by these values, and cannot confuse it with an older account. An account without an address blocks no address;
its removal is scheduled as soon as its id is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clinic_service import clock, deadline
from clinic_service.errors import ServiceError
from clinic_service.gateways.accounts import AccountNotFound, EmailTaken
from clinic_service.models import Clinic, DiagnosisType, Patient, Permission
from clinic_service.outbox.events import AccountOrphaned, AccountUnconfirmed
from clinic_service.outbox.outbox import Event
from clinic_service.preparation import Preparation
from clinic_service.resources.patients.accounts.changes import AccountChange
from clinic_service.resources.patients.data_sources import replace_data_sources
from clinic_service.resources.patients.enrolment import announce, is_plan_full
from clinic_service.resources.patients.errors import PatientLimitReached
from clinic_service.resources.patients.mrn import check_mrn, register_mrn
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CustodialAccount:
    """An account that was created for a patient of a clinic, and the clinic's data about the patient.

    `given` are the members of a `PatientRecordSchema`.
    """

    user_id: str
    given: Mapping[str, Any]
    change: AccountChange


def make_account(ctx: Preparation, clinic_id: str, given: Mapping[str, Any]) -> CustodialAccount:
    """Check everything that this database can check, and create the account.

    Raises ClinicNotFound, MrnRequired, DuplicateMrn, PatientLimitReached and UnknownSite, then EmailTaken, BadGateway
    and Unavailable, in this order.
    """
    accounts = ctx.accounts
    chosen, email = accounts.choose_user_id(), given.get("email")

    def reserve(uow: UnitOfWork) -> AccountChange:
        check(ctx, uow, clinic_id, given)
        return uow.patients.account_changes.start(clinic_id, _removal(clinic_id, chosen, email, uow.now))

    change = ctx.in_transaction(reserve)
    with ended_on_failure(ctx, change):
        user_id = accounts.create_custodial(clinic_id, email, chosen).user_id
        if not chosen:
            change = _schedule_removal(ctx, clinic_id, change, user_id)
    return CustodialAccount(user_id, given, change)


def enrol(
    uow: UnitOfWork, clinic_id: str, custodial: CustodialAccount, invited_by: str | None, demo_user_id: str | None
) -> Patient:
    """Store and return the record of the patient. `invited_by` is None unless a person acts.

    Raises ClinicNotFound, MrnRequired, DuplicateMrn, PatientLimitReached, UnknownSite and DuplicatePatient when the data
    changed after the account was created; and Unavailable when the account is already being removed.
    """
    clinic = uow.clinics.lock(clinic_id)
    has_place = uow.patients.account_changes.complete(custodial.change)
    given = custodial.given
    patient = _record(uow, clinic, custodial)
    patient.invited_by = invited_by
    register_mrn(uow, clinic, patient)
    if not has_place:
        _require_place(uow, clinic, demo_user_id)
    uow.patients.add(patient, given.get("tag_ids") or (), given.get("site_ids", ()), require_sites=True)
    if given.get("data_sources") is not None:
        replace_data_sources(uow, [patient], given["data_sources"])
    announce(uow, patient)
    return patient


def check(ctx: Preparation, uow: UnitOfWork, clinic_id: str, given: Mapping[str, Any]) -> None:
    """Lock the clinic, and check everything about its new patient that can be checked before the account exists.

    Raises ClinicNotFound, MrnRequired, DuplicateMrn, PatientLimitReached and UnknownSite, in this order.
    """
    clinic = uow.clinics.lock(clinic_id)
    check_mrn(uow, clinic, given.get("mrn"))
    _require_place(uow, clinic, ctx.config.demo_patient_user_id)
    uow.patients.known_sites(clinic.id, given.get("site_ids", ()), require_all=True)


@contextmanager
def ended_on_failure(ctx: Preparation, change: AccountChange) -> Iterator[None]:
    """Ends the account change when the call of the directory in this block fails.

    After a refusal nothing has changed at the directory, so the change is canceled. After any other failure the result is
    not known, so the change is compensated.
    """
    try:
        yield
    except (EmailTaken, AccountNotFound):
        with deadline.unlimited():
            ctx.in_transaction(lambda uow: uow.patients.account_changes.cancel(change))
        raise
    except Exception:
        with deadline.unlimited():
            ctx.in_transaction(lambda uow: uow.patients.account_changes.compensate(change))
        raise


def _removal(clinic_id: str, user_id: str | None, email: str | None, now: datetime) -> Event | None:
    """The event that removes an account that is about to be created; None when the account could not be found again."""
    if user_id:
        return AccountOrphaned(clinic_id, user_id)
    return AccountUnconfirmed(clinic_id, email, clock.to_wire(now)) if email else None


def _require_place(uow: UnitOfWork, clinic: Clinic, demo_user_id: str | None) -> None:
    if is_plan_full(uow, clinic, demo_user_id):
        raise PatientLimitReached


def _schedule_removal(ctx: Preparation, clinic_id: str, change: AccountChange, user_id: str) -> AccountChange:
    compensation = AccountOrphaned(clinic_id, user_id)
    # The account exists, so its removal must be scheduled even when the time of the request is over.
    with deadline.unlimited():
        try:
            return ctx.in_transaction(lambda uow: uow.patients.account_changes.identify(change, compensation))
        except Exception:
            # An account without an address cannot be found later, so it is removed now.
            with suppress(ServiceError):
                ctx.accounts.remove(user_id)
            raise


def _record(uow: UnitOfWork, clinic: Clinic, custodial: CustodialAccount) -> Patient:
    given = custodial.given
    diagnosis_type = given.get("diagnosis_type")
    patient = Patient(
        clinic_id=clinic.id,
        id=uow.new_id(),
        user_id=custodial.user_id,
        full_name=given["full_name"],
        birth_date=given["birth_date"],
        email=given.get("email"),
        mrn=given.get("mrn"),
        target_devices=given.get("target_devices"),
        glycemic_ranges=given.get("glycemic_ranges"),
        # The empty text means none.
        diagnosis_type=DiagnosisType(diagnosis_type) if diagnosis_type else None,
        created_time=uow.creation_time,
        updated_time=uow.now,
    )
    patient.permissions = tuple(Permission)
    return patient
