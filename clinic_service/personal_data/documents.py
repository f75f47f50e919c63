"""Finds messages and orders of partners that are about a person, even when they were never matched with a record.

A document is about the person if it has two of these values in common with one record of the person: the medical record
number, the full name, and the date of birth. The values are compared as in `ehr.matching`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, select

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among
from clinic_service.db.engine import Database
from clinic_service.models import Patient, PatientDeletion, RedoxMessage, XealthOrder, XealthPreorder
from clinic_service.models.sort_keys import match_key
from clinic_service.resources.ehr.redox.members import items, member, text
from clinic_service.unit_of_work import UnitOfWork, run

_PAGE = 200


class _Identity(NamedTuple):
    """What identifies a person in a document: keys of medical record numbers and names, and the date of birth."""

    mrns: frozenset[bytes]
    names: frozenset[bytes]
    birth_date: str | None

    def is_of(self, other: _Identity) -> bool:
        """Whether two of the three are equal."""
        same_day = self.birth_date is not None and self.birth_date == other.birth_date
        return (same_day + bool(self.mrns & other.mrns) + bool(self.names & other.names)) >= 2


class _Record(NamedTuple):
    """The data about the person in a present or deleted record of a clinic."""

    clinic_id: str
    identity: _Identity
    # Documents that the record of a deletion refers to.
    documents: tuple[str, ...] = ()


_RECORDS = select(Patient.clinic_id, Patient.mrn, Patient.full_name, Patient.birth_date).where(
    among(Patient.clinic_id, "clinic_ids"), Patient.user_id == bindparam("user_id")
)
_DELETED = select(PatientDeletion.clinic_id, PatientDeletion.record).where(
    PatientDeletion.user_id == bindparam("user_id")
)
_MESSAGES = (
    select(RedoxMessage.id, RedoxMessage.duplicate_of, RedoxMessage.payload)
    .where(RedoxMessage.id > bindparam("after"))
    .order_by(RedoxMessage.id)
    .limit(_PAGE)
)
_ORDERS = (
    select(XealthOrder.id, XealthOrder.order_text, XealthOrder.event_text)
    .where(XealthOrder.clinic_id == bindparam("clinic_id"), XealthOrder.id > bindparam("after"))
    .order_by(XealthOrder.id)
    .limit(_PAGE)
)
_PREORDERS = select(XealthPreorder.clinic_id, XealthPreorder.data_tracking_id, XealthPreorder.mrn).where(
    among(XealthPreorder.clinic_id, "clinic_ids")
)


def find_documents(database: Database, user_id: str) -> list[str]:
    """The ids of the messages, orders and forms about the person. Reads all of them, page by page."""
    records = run(database, lambda uow: _records(uow, user_id), writes=False)
    clinic_ids = sorted({record.clinic_id for record in records})
    found = {document for record in records for document in record.documents}
    identities = [record.identity for record in records]
    if not identities:
        return []
    for message in _pages(database, _MESSAGES, {}):
        if message.duplicate_of in found or _is_about(identities, message.payload):
            found.add(message.id)
    for clinic_id in clinic_ids:
        for order in _pages(database, _ORDERS, {"clinic_id": clinic_id}):
            if _is_about(identities, order.order_text) or _is_about(identities, order.event_text):
                found.add(order.id)
    forms = run(database, lambda uow: uow.rows(_PREORDERS, {"clinic_ids": clinic_ids}), writes=False)
    numbers = {(record.clinic_id, mrn) for record in records for mrn in record.identity.mrns}
    # A form has no name and no date of birth.
    found |= {form.data_tracking_id for form in forms if (form.clinic_id, match_key(form.mrn)) in numbers}
    return sorted(found)


def _records(uow: UnitOfWork, user_id: str) -> list[_Record]:
    present = [
        _Record(row.clinic_id, _identity([row.mrn], row.full_name, row.birth_date))
        for row in uow.rows(_RECORDS, {"user_id": user_id, "clinic_ids": ClinicsOfUsers(uow).of_patient(user_id)})
    ]
    return present + [_of_deletion(*row) for row in uow.rows(_DELETED, {"user_id": user_id})]


def _of_deletion(clinic_id: str, record: Mapping[str, Any]) -> _Record:
    identity = _identity([record.get("mrn")], record.get("full_name"), record.get("birth_date"))
    matches = (one for each in items(record, "ehr_subscriptions") for one in items(each, "matched_messages"))
    return _Record(clinic_id, identity, tuple(one["document_id"] for one in matches))


def _pages(database: Database, statement: Any, parameters: Mapping[str, Any]) -> Iterator[Any]:
    after = ""
    while page := run(database, _reading(statement, {**parameters, "after": after}), writes=False):
        yield from page
        after = page[-1].id


def _reading(statement: Any, parameters: Mapping[str, Any]) -> Any:
    return lambda uow: uow.rows(statement, parameters)


def _is_about(identities: Iterable[_Identity], document_text: str) -> bool:
    try:
        document = orjson.loads(document_text)
    except orjson.JSONDecodeError:
        return False
    found = (_of_redox(document), _of_xealth(document))
    return any(identity.is_of(one) for identity in identities for one in found)


def _of_redox(document: Any) -> _Identity:
    demographics = member(document, "Patient", "Demographics")
    names = (text(demographics, "FirstName"), text(demographics, "LastName"))
    full_name = " ".join(name for name in names if name)
    mrns = [text(one, "ID") for one in items(document, "Patient", "Identifiers")]
    return _identity(mrns, full_name, text(demographics, "DOB"))


def _of_xealth(document: Any) -> _Identity:
    demographics = member(document, "datasets", "demographicsV1")
    parts = (*items(demographics, "name", "given"), *items(demographics, "name", "family"))
    full_name = " ".join(part for part in parts if isinstance(part, str))
    mrns = [text(one, "id") for one in items(document, "patientIdentity", "ids")]
    return _identity(mrns, full_name, text(demographics, "birthDate"))


def _identity(mrns: Iterable[str | None], full_name: str | None, birth_date: str | None) -> _Identity:
    keys = frozenset(key for mrn in mrns if (key := match_key(mrn)))
    name = match_key(full_name)
    return _Identity(keys, frozenset((name,)) if name else frozenset(), birth_date)
