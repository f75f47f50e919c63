"""Reads Redox messages: the columns that are stored with a message, and the patient's data in an order.

A message is a JSON document of another system, so any value in it can be missing or have another type. Where the spec does
not rule that out, such a value counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from clinic_service import clock
from clinic_service.outbox.events import EhrMessageReceived
from clinic_service.resources.ehr.errors import BirthDateMissing, PatientNameMissing
from clinic_service.resources.ehr.matching import PatientData, find_mrn
from clinic_service.unit_of_work import UnitOfWork


def receive(uow: UnitOfWork, message: Mapping[str, Any], text: str) -> str:
    """Store a message, whose JSON text is `text`, and add the event that processes it. Returns the id of the row."""
    message_id = uow.ehr.add_message({**_columns(message), "payload": text})
    uow.outbox.add(EhrMessageReceived(message_id))
    return message_id


def patient_data(order: Mapping[str, Any], mrn_id_type: str) -> PatientData | None:
    """The patient's data in a Redox order; None when it has no medical record number of the type.

    Raises BirthDateMissing and PatientNameMissing.
    """
    patient = _object(order, "Patient")
    mrn = find_mrn(((each.get("IDType"), each.get("ID")) for each in _objects(patient, "Identifiers")), mrn_id_type)
    if mrn is None:
        return None
    demographics = _object(patient, "Demographics")
    birth_date = _text(demographics, "DOB")
    if birth_date is None:
        raise BirthDateMissing
    names = (_text(demographics, "FirstName"), _text(demographics, "LastName"))
    full_name = " ".join(name for name in names if name)
    if not full_name:
        raise PatientNameMissing
    return PatientData(mrn, birth_date, full_name)


def payload_hash(message: Mapping[str, Any]) -> bytes:
    """A hash that is equal for all deliveries of one message, which differ only in the ids of the deliveries."""
    meta = message["Meta"]
    logs = [{name: value for name, value in log.items() if name != "AttemptID"} for log in meta.get("Logs") or ()]
    canonical = {**message, "Meta": {**meta, "Logs": logs}}
    return sha256(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).digest()


def _columns(message: Mapping[str, Any]) -> dict[str, Any]:
    meta = message["Meta"]
    source, log = _object(meta, "Source"), next(iter(_objects(meta, "Logs")), {})
    is_test = meta.get("Test")
    return {
        "data_model": meta["DataModel"],
        "event_type": meta["EventType"],
        "source_id": _text(source, "ID"),
        "source_name": _text(source, "Name"),
        "facility_code": _text(meta, "FacilityCode"),
        "event_time": _time(meta, "EventDateTime"),
        "is_test": is_test if isinstance(is_test, bool) else None,
        "log_id": _text(log, "ID"),
        "log_attempt_id": _text(log, "AttemptID"),
        "destination_ids": [_text(each, "ID") for each in _objects(meta, "Destinations")] or None,
        "payload_hash": payload_hash(message),
    }


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object `name`; an empty object when it is missing."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _objects(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects in the list `name`."""
    value = parent.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(parent: Mapping[str, Any], name: str) -> str | None:
    """The text `name`; None when it is missing or empty."""
    value = parent.get(name)
    return value if isinstance(value, str) and value else None


def _time(parent: Mapping[str, Any], name: str) -> datetime | None:
    """The point in time `name`; None when it is missing or has no time zone."""
    text = _text(parent, name)
    try:
        has_zone = text and datetime.fromisoformat(text.upper()).tzinfo
        return clock.from_wire(text) if text and has_zone else None
    except ValueError:
        return None
