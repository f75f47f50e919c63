"""How a clinic makes a patient, account and all.

First everything is checked here and a place of the clinic's plan reserved; then the account is made, while no transaction
is open; then the record is stored. An account without a record would block its address for good, so its removal is
scheduled (see `changes.py`) before the directory is asked. Where the id of the account can be chosen, as in the embedded
directory, the scheduled event names the id. Otherwise it names the address, the clinic and the time, until the directory
has told the id: whenever the process ends, the relay finds the account by these, and never takes an older one for it. An
account without an address blocks none; its removal is scheduled as soon as its id is known.
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
from clinic_service.outbox.events import AccountLeftOver, AccountUnconfirmed
from clinic_service.outbox.outbox import Event
from clinic_service.preparation import Preparation
from clinic_service.resources.patients.accounts.changes import AccountChange
from clinic_service.resources.patients.data_sources import replace_data_sources
from clinic_service.resources.patients.enrolment import announce, is_plan_full
from clinic_service.resources.patients.errors import PatientLimitReached
from clinic_service.resources.patients.mrn import check_mrn, settle_mrn
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CustodialAccount:
    """An account that was made for a patient of a clinic, and what the clinic says of the patient.

    `given` are the members of a `PatientRecordSchema`.
    """

    user_id: str
    given: Mapping[str, Any]
    change: AccountChange


def make_account(ctx: Preparation, clinic_id: str, given: Mapping[str, Any]) -> CustodialAccount:
    """Check all that can be checked here, and make the account.

    Raises ClinicNotFound, MrnRequired, DuplicateMrn, PatientLimitReached and UnknownSite, then EmailTaken, BadGateway
    and Unavailable, in this order.
    """
    accounts = ctx.accounts
    chosen, email = accounts.choose_user_id(), given.get("email")
    demo_user_id = ctx.config.demo_patient_user_id

    def reserve(uow: UnitOfWork) -> AccountChange:
        _check(uow, uow.clinics.lock(clinic_id), given, demo_user_id)
        return uow.patients.account_changes.start(clinic_id, _removal(clinic_id, chosen, email, uow.now))

    change = ctx.in_transaction(reserve)
    with ended_unless_made(ctx, change):
        user_id = accounts.create_custodial(clinic_id, email, chosen).user_id
        if not chosen:
            change = _schedule_removal(ctx, change, user_id)
    return CustodialAccount(user_id, given, change)


def enrol(
    uow: UnitOfWork, clinic_id: str, custodial: CustodialAccount, invited_by: str | None, demo_user_id: str | None
) -> None:
    """Store the record of the patient. `invited_by` is None unless a person acts.

    Raises ClinicNotFound, MrnRequired, DuplicateMrn, PatientLimitReached, UnknownSite and DuplicatePatient where
    something has changed since the account was made; and Unavailable when the account is being removed already.
    """
    clinic = uow.clinics.lock(clinic_id)
    has_place = uow.patients.account_changes.complete(custodial.change)
    given = custodial.given
    patient = _record(uow, clinic, custodial)
    patient.invited_by = invited_by
    settle_mrn(uow, clinic, patient)
    if not has_place:
        _require_place(uow, clinic, demo_user_id)
    uow.patients.add(patient, given.get("tag_ids") or (), given.get("site_ids", ()), require_sites=True)
    if given.get("data_sources") is not None:
        replace_data_sources(uow, [patient], given["data_sources"])
    announce(uow, patient)


@contextmanager
def ended_unless_made(ctx: Preparation, change: AccountChange) -> Iterator[None]:
    """Ends the change when the change of the account, made in this block, fails.

    A refusal says that nothing has changed at the directory. After any other failure nobody knows.
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
    """What removes an account that is going to be made; None for one that could not be found again."""
    if user_id:
        return AccountLeftOver(user_id)
    return AccountUnconfirmed(clinic_id, email, clock.to_wire(now)) if email else None


def _check(uow: UnitOfWork, clinic: Clinic, given: Mapping[str, Any], demo_user_id: str | None) -> None:
    check_mrn(uow, clinic, given.get("mrn"))
    _require_place(uow, clinic, demo_user_id)
    uow.patients.known_sites(clinic.id, given.get("site_ids", ()), require_all=True)


def _require_place(uow: UnitOfWork, clinic: Clinic, demo_user_id: str | None) -> None:
    if is_plan_full(uow, clinic, demo_user_id):
        raise PatientLimitReached


def _schedule_removal(ctx: Preparation, change: AccountChange, user_id: str) -> AccountChange:
    undoing = AccountLeftOver(user_id)
    # The account is there, so there is no time limit for keeping track of it.
    with deadline.unlimited():
        try:
            return ctx.in_transaction(lambda uow: uow.patients.account_changes.identify(change, undoing))
        except Exception:
            # Without an address there will be no second chance to remove it.
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
        # The empty text stands for none.
        diagnosis_type=DiagnosisType(diagnosis_type) if diagnosis_type else None,
        created_time=uow.creation_time,
        updated_time=uow.now,
    )
    patient.permissions = tuple(Permission)
    return patient
