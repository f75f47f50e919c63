"""Copies the e-mail address in an order to the account of a patient who has no address."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any

from clinic_service import clock
from clinic_service.gateways.accounts import EmailTaken
from clinic_service.models import Patient
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.preparation import Preparation
from clinic_service.resources.ehr.redox.order_content import UnusableOrder, email_of_order
from clinic_service.resources.patients.accounts import update
from clinic_service.unit_of_work import UnitOfWork


def usable_email(order: Mapping[str, Any], birth_date: str) -> str | None:
    """The address in the order for a patient with this date of birth; None when there is no valid one."""
    if not clock.is_date(birth_date):
        return None
    with suppress(UnusableOrder):
        return email_of_order(order, date.fromisoformat(birth_date), clock.now())
    return None


def change_address(ctx: Preparation, clinic_id: str, user_id: str, email: str | None) -> update.Update:
    """Give the account the address, if the clinic manages the account, it has no address, and the address is free.

    The caller must then call `replace_record`. Raises PatientNotFound, and what the accounts directory raises.
    """
    patient = ctx.uow.patients.describe_one(clinic_id, user_id)
    if email is None or patient.email is not None or not patient.permission_custodian:
        return update.Update({})
    with suppress(EmailTaken):
        return update.prepare(ctx, clinic_id, user_id, _record(patient, email), keeps_mrn=True)
    return update.Update({})


def replace_record(
    uow: UnitOfWork,
    patient: Patient,
    changed: update.Update,
    sender: MailSender,
    *,
    tag_ids: list[str] | None = None,
) -> None:
    """Store the changed address, and the tags if any are given, in the record of the patient.

    Raises what `update.replace` raises.
    """
    if tag_ids is None and changed.address is None:
        return
    email = changed.address.new if changed.address else patient.email
    record = {**_record(patient, email), "tag_ids": tag_ids}
    made = update.Update(record, changed.address, keeps_mrn=True)
    update.replace(uow, patient.clinic_id, patient.user_id, made, sender)


def _record(patient: Any, email: str | None) -> dict[str, Any]:
    """The present record with the new address, as members of a `PatientRecordSchema`."""
    kept = {name: getattr(patient, name) for name in ("full_name", "birth_date", "mrn", "target_devices")}
    return {**kept, "email": email}
