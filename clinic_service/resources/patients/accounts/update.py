"""Replaces a clinic's record of a patient.

An account that the clinic manages has the address of the record. No transaction includes both, so this is an account change
(see `changes.py`): everything is checked first, then the account changes, then the record. If the change of the record
fails, the account gets the address of the record again. The clinic does not change the address of a claimed account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from clinic_service.db.prepared import Query
from clinic_service.errors import Unavailable
from clinic_service.models import Clinic, DiagnosisType, Patient
from clinic_service.outbox.events import AddressDiverged, PatientChanged
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.preparation import Preparation, PreparationOutdated
from clinic_service.resources.patients.accounts.changes import AccountChange
from clinic_service.resources.patients.accounts.create import ended_on_failure
from clinic_service.resources.patients.connections import repeat_requests_within_limit
from clinic_service.resources.patients.data_sources import replace_data_sources
from clinic_service.resources.patients.errors import NameMissing
from clinic_service.resources.patients.mrn import check_mrn, index_mrn
from clinic_service.resources.patients.tags_and_sites import replace_sites, replace_tags
from clinic_service.texts import camel_case
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class AddressChange:
    """The account has the address `new` now, while the record still has `old`."""

    old: str | None
    new: str | None
    change: AccountChange


@dataclass(frozen=True, slots=True)
class Update:
    """The clinic's data about the patient (members of a `PatientRecordSchema`), and the change of the address, if any.

    With `keeps_mrn` the number is no part of the change, so that it may be one which the clinic does not accept any more.
    """

    given: Mapping[str, Any]
    address: AddressChange | None = None
    keeps_mrn: bool = False


class _Address(NamedTuple):
    """The address in the record of a patient, and whether the clinic manages the account."""

    email: str | None
    permission_custodian: bool


_ADDRESS = Query(
    _Address,
    select(Patient.email, Patient.permission_custodian).where(
        Patient.clinic_id == bindparam("clinic_id"), Patient.user_id == bindparam("user_id")
    ),
)


def prepare(
    ctx: Preparation, clinic_id: str, user_id: str, given: Mapping[str, Any], *, keeps_mrn: bool = False
) -> Update:
    """Change the address of the account, if the clinic manages the account and the address is different.

    In this case raises ClinicNotFound, PatientNotFound, NameMissing, MrnRequired, DuplicateMrn, UnknownSite and
    AccountIsChanging before anything changes; then EmailTaken, AccountNotFound, BadGateway and Unavailable.
    """
    present = ctx.uow.first(_ADDRESS, {"clinic_id": clinic_id, "user_id": user_id})
    update = Update(given, keeps_mrn=keeps_mrn)
    if present is None or not _is_new(present, given):
        return update
    return Update(given, _change_account(ctx, clinic_id, user_id, update), keeps_mrn)


def replace(uow: UnitOfWork, clinic_id: str, user_id: str, update: Update, sender: MailSender) -> None:
    """Store the record. Some absent members are cleared and others are kept (see `_columns`). Equal values change nothing.

    Raises ClinicNotFound, PatientNotFound, NameMissing, MrnRequired, DuplicateMrn and UnknownSite; and
    PreparationOutdated or Unavailable when the address has changed since `prepare` compared it.
    """
    clinic = uow.clinics.lock(clinic_id)
    patient = uow.patients.lock(clinic_id, user_id)
    _check(uow, clinic, patient, update)
    # Tags, sites and data sources are written first, so that the patient's row is written only once.
    changed = (
        *_replace_children(uow, patient, update.given),
        *_replace_address(uow, patient, update, sender.person_id),
        *_replace_columns(patient, update.given),
    )
    if not update.keeps_mrn:
        index_mrn(clinic, patient)
    if "mrn" in changed:
        # Orders name the patient by the number, so orders with the old number are not valid for the new one.
        uow.ehr.deactivate(clinic_id, patient.id)
    if changed:
        uow.patients.touch(patient)
    uow.patients.flush()
    names = tuple(map(camel_case, changed))
    uow.audit.changed = frozenset(names)
    if changed:
        uow.outbox.add(PatientChanged(clinic_id, user_id, names, patient.is_custodial))
    if "email" in changed:
        repeat_requests_within_limit(uow, patient, sender)


def compensate(uow: UnitOfWork, update: Update) -> None:
    """Give the account the address of the record again."""
    if update.address:
        uow.patients.account_changes.compensate(update.address.change)


def _is_new(present: _Address | Patient, given: Mapping[str, Any]) -> bool:
    """Whether the clinic manages the account and gives another address than the present one."""
    return present.permission_custodian and present.email != given.get("email")


def _change_account(ctx: Preparation, clinic_id: str, user_id: str, update: Update) -> AddressChange | None:
    email = update.given.get("email")

    def reserve(uow: UnitOfWork) -> AddressChange | None:
        clinic = uow.clinics.lock(clinic_id)
        patient = uow.patients.get(clinic_id, user_id)
        _check(uow, clinic, patient, update)
        if not _is_new(patient, update.given):
            return None
        change = uow.patients.account_changes.start(clinic_id, AddressDiverged(clinic_id, user_id), user_id=user_id)
        return AddressChange(patient.email, email, change)

    change = ctx.in_transaction(reserve)
    if change:
        with ended_on_failure(ctx, change.change):
            ctx.accounts.update_custodial_email(user_id, change.new)
    return change


def _check(uow: UnitOfWork, clinic: Clinic, patient: Patient, update: Update) -> None:
    given = update.given
    if given["full_name"] is None and patient.full_name is not None:
        raise NameMissing
    if not update.keeps_mrn:
        check_mrn(uow, clinic, given.get("mrn"), patient.id)
    uow.patients.known_sites(clinic.id, given.get("site_ids", ()), require_all=True)


def _replace_children(uow: UnitOfWork, patient: Patient, given: Mapping[str, Any]) -> Iterator[str]:
    """Replace tags, sites and data sources. Absent or null keeps them; an empty list removes them."""
    if given.get("tag_ids") is not None and replace_tags(uow, patient, given["tag_ids"]):
        yield "tags"
    if given.get("site_ids") is not None and replace_sites(uow, patient, given["site_ids"]):
        yield "sites"
    if given.get("data_sources") is not None and replace_data_sources(uow, [patient], given["data_sources"]):
        yield "data_sources"


def _replace_address(uow: UnitOfWork, patient: Patient, update: Update, person_id: str | None) -> Iterator[str]:
    change = update.address
    if change is None:
        if _is_new(patient, update.given):
            raise PreparationOutdated
        return
    if not uow.patients.account_changes.complete(change.change) or patient.email != change.old:
        raise Unavailable
    patient.email = change.new
    # The person who gives an address invites its owner to claim the account.
    if change.new is None:
        patient.invited_by = None
    elif person_id is not None:
        patient.invited_by = person_id
    yield "email"


def _replace_columns(patient: Patient, given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in _columns(given).items():
        if getattr(patient, name) != value:
            setattr(patient, name, value)
            yield name


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """The row's new values. When absent, the number and the devices are cleared; ranges and diagnosis are kept."""
    columns = {name: given.get(name) for name in ("full_name", "birth_date", "mrn", "target_devices")}
    if "glycemic_ranges" in given:
        columns["glycemic_ranges"] = given["glycemic_ranges"]
    if "diagnosis_type" in given:
        # The empty text means none.
        columns["diagnosis_type"] = DiagnosisType(given["diagnosis_type"]) if given["diagnosis_type"] else None
    return columns
