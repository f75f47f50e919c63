"""Answers preorders: a form for a new patient, no form, or the reason why the order cannot be placed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from clinic_service.errors import BadRequest, Violation
from clinic_service.gateways.accounts import Accounts
from clinic_service.preparation import PreparationOutdated
from clinic_service.resources.ehr.matching import Criterion, EhrClinic, MatchedPatient, is_child
from clinic_service.resources.ehr.xealth.forms import Form, FormError, enrolment_form, error_form
from clinic_service.resources.ehr.xealth.patient import XealthPatient, read_patient
from clinic_service.resources.ehr.xealth.requests import find_patient, get_clinic
from clinic_service.texts import MAX_EMAIL_LENGTH, is_email
from clinic_service.unit_of_work import UnitOfWork

_SUBSEQUENT = "subsequent"
# The parts of the forms, and the inputs of each.
_MEMBERS = {
    "patient": ("email", "connectAbbott", "connectDexcom"),
    "guardian": ("firstName", "lastName", "email", "connectAbbott", "connectDexcom"),
    "tags": ("ids",),
}


class FormDataMissing(BadRequest):
    message = "The input of the form, or its tracking id, is missing."


@dataclass(frozen=True, slots=True)
class FormInput:
    """The input of an enrolment form. The address is the patient's or the guardian's; blank texts are None."""

    form: Form
    email: str | None
    connect_abbott: bool
    connect_dexcom: bool
    guardian_first_name: str | None
    guardian_last_name: str | None
    tag_ids: list[str]

    def has_fault(self) -> bool:
        """Whether the name of the guardian is missing, or the address is invalid."""
        is_nameless = not (self.guardian_first_name and self.guardian_last_name)
        if self.form is Form.GUARDIAN and is_nameless:
            return True
        return self.email is not None and not (is_email(self.email) and len(self.email) <= MAX_EMAIL_LENGTH)


@dataclass(frozen=True, slots=True)
class Preorder:
    """A request, its clinic, and the clinic's patient with the number in the request, if there is one.

    `tracking_id` connects form, input and order. Each requested form gets a new one.
    """

    body: Mapping[str, Any]
    tracking_id: str
    clinic: EhrClinic
    patient: XealthPatient
    known: MatchedPatient | None
    form: Form

    @property
    def asks_for_form(self) -> bool:
        """Whether the request asks for a form. Otherwise it contains the input of one."""
        return not _has_input(self.body)

    @property
    def is_canceled(self) -> bool:
        """Whether the user canceled the form."""
        return not self.asks_for_form and bool(self.body["formData"].get("canceled"))

    @property
    def entered(self) -> Mapping[str, Any]:
        """The input of all parts of the form; empty when no form was shown yet."""
        return {} if self.asks_for_form else self.body["formData"].get("userInput") or {}

    def read_input(self) -> FormInput:
        """The input of the part of the form that applies."""
        person = self.entered.get(self.form) or {}
        email = _text(person, "email")
        return FormInput(
            form=self.form,
            email=email.lower() if email else None,
            # Without an address the patient cannot be asked to connect.
            connect_abbott=bool(email and person.get("connectAbbott")),
            connect_dexcom=bool(email and person.get("connectDexcom")),
            guardian_first_name=_text(person, "firstName") if self.form is Form.GUARDIAN else None,
            guardian_last_name=_text(person, "lastName") if self.form is Form.GUARDIAN else None,
            tag_ids=list((self.entered.get("tags") or {}).get("ids") or ()),
        )


def _has_input(body: Mapping[str, Any]) -> bool:
    """Whether the request contains the input of a form. Otherwise it asks for a form."""
    return bool(body["eventContext"] == _SUBSEQUENT)


def require_form_data(body: Mapping[str, Any]) -> None:
    """Raise FormDataMissing when the request must contain the input of a form and does not."""
    if not _has_input(body):
        return
    if body.get("formData") is None:
        raise FormDataMissing(violations=[Violation("/body/formData", "required")])
    if not body["formData"].get("dataTrackingId"):
        raise FormDataMissing(violations=[Violation("/body/formData/dataTrackingId", "minLength", 1)])


def find_address(uow: UnitOfWork, body: Mapping[str, Any]) -> str | None:
    """The address that the caller must look up in the accounts directory before `answer`; None when there is none.

    Raises what `answer` raises.
    """
    require_form_data(body)
    if not _has_input(body):
        return None
    return _address_in_question(_read(uow, body))


def is_taken(accounts: Accounts, email: str | None) -> bool | None:
    """Whether an account has the address; None without an address. Raises what `accounts` raises."""
    return None if email is None else accounts.find_by_email(email) is not None


def answer(uow: UnitOfWork, body: Mapping[str, Any], *, is_address_taken: bool | None) -> dict[str, Any]:
    """The answer to a preorder, `xealthPreorderForm.v1`. A valid input is stored.

    Raises FormDataMissing, EhrClinicNotFound, SourceShared, what `read_patient` raises, and SeveralPatients, in this
    order; and PreparationOutdated when the address was not looked up, because a patient was removed meanwhile.
    """
    preorder = _read(uow, body, lock=_has_input(body))
    if preorder.is_canceled:
        return {}
    if preorder.known:
        is_same = preorder.known.birth_date == preorder.patient.data.birth_date
        return {} if is_same else _error(uow, preorder, FormError.BIRTH_DATE_MISMATCH)
    if preorder.asks_for_form:
        return _form(uow, preorder)
    given = preorder.read_input()
    if given.has_fault():
        return _error(uow, preorder, FormError.GENERAL)
    if given.email and is_address_taken is None:
        raise PreparationOutdated
    if is_address_taken:
        return _error(uow, preorder, FormError.DUPLICATE_ADDRESS)
    _store(uow, preorder, given)
    return {}


def _read(uow: UnitOfWork, body: Mapping[str, Any], *, lock: bool = False) -> Preorder:
    clinic = get_clinic(uow, body, lock=lock)
    patient = read_patient(body, clinic.settings.mrn_id_type)
    # Not matched by the date of birth, so that a different date can be reported.
    known = find_patient(uow, clinic, patient.data, Criterion.MRN)
    birth_date = date.fromisoformat(patient.data.birth_date)
    form = Form.GUARDIAN if is_child(birth_date, uow.now.date()) else Form.PATIENT
    tracking_id = body["formData"]["dataTrackingId"] if _has_input(body) else str(uuid.uuid4())
    return Preorder(body, tracking_id, clinic, patient, known, form)


def _address_in_question(preorder: Preorder) -> str | None:
    if preorder.is_canceled or preorder.known:
        return None
    given = preorder.read_input()
    return None if given.has_fault() else given.email


def _form(uow: UnitOfWork, preorder: Preorder) -> dict[str, Any]:
    tags = uow.xealth_orders.list_tags(preorder.clinic.id)
    patient = preorder.patient
    return enrolment_form(preorder.form, preorder.tracking_id, patient.data.full_name, patient.email, tags)


def _error(uow: UnitOfWork, preorder: Preorder, error: FormError) -> dict[str, Any]:
    tags = uow.xealth_orders.list_tags(preorder.clinic.id)
    return error_form(error, preorder.tracking_id, _filled_in(preorder.entered), tags)


def _filled_in(entered: Mapping[str, Any]) -> dict[str, Any]:
    """The input, without members that are unknown, empty or false."""
    parts = {part: _chosen(entered.get(part) or {}, members) for part, members in _MEMBERS.items()}
    return {part: values for part, values in parts.items() if values}


def _chosen(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if values.get(name)}


def _store(uow: UnitOfWork, preorder: Preorder, given: FormInput) -> None:
    """Store the input. A later input replaces an earlier one until an order has used it."""
    stored = uow.xealth_orders.find_preorder(preorder.clinic.id, preorder.tracking_id)
    if stored is not None and stored.used_time is not None:
        return
    uow.xealth_orders.store_preorder(
        preorder.clinic.id,
        preorder.tracking_id,
        deployment=preorder.body["deployment"],
        mrn=preorder.patient.data.mrn,
        email=given.email,
        connect_abbott=given.connect_abbott,
        connect_dexcom=given.connect_dexcom,
        guardian_first_name=given.guardian_first_name,
        guardian_last_name=given.guardian_last_name,
        tag_ids=given.tag_ids,
    )


def _text(values: Mapping[str, Any], name: str) -> str | None:
    """The text without surrounding white space; None for a blank text."""
    return (values.get(name) or "").strip() or None
