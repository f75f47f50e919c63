"""A row about a person in every table, also in those yet to come, with a unique text in each column that can hold one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Boolean, Column, Enum, Float, Integer, LargeBinary, Table, insert

from clinic_service import clock
from clinic_service.db.base import DERIVED, Base
from clinic_service.db.ids import new_id
from clinic_service.db.types import Json, JsonText, ObjectId, UserId, UtcDateTime
from clinic_service.models import Clinic, Site, Tag
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import Somebody

# They have no rows about persons who have an account. The list does not come from the declaration, which is what is tested.
_OF_CLINICS = {
    "clinics",
    "clinic_deletions",
    "demo_clinics",
    "membership_restrictions",
    "patient_counts",
    "pending_clinicians",
    "share_codes",
}
_OF_CLINICS |= {
    "report_schedules",
    "sites",
    "tags",
    "sent_redox_messages",
    "audit_chain",
    "audit_entries",
    "account_deletions",
}
_TEXT = re.compile(r"canary-[\w-]+\.")


class Place(NamedTuple):
    """The clinic of the rows, with a tag and a site."""

    clinic: Clinic
    tag: Tag
    site: Site


class Seed:
    """Stores the rows. `texts` are those that an export must show; `hidden` are those in computed columns and hashes."""

    def __init__(self, unit: UnitOfWork, place: Place, person: Somebody, other: Somebody) -> None:
        self.texts: set[str] = set()
        self.hidden: set[str] = set()
        self._person = person
        self._ids = {"patient_id": new_id(), "clinician_id": new_id(), "message_id": new_id()}
        known = {"clinic_id": place.clinic.id, "tag_id": place.tag.id, "site_id": place.site.id, **self._ids}
        users = {"user_id": person.id, "person_id": person.id, "sharer_id": person.id, "grantee_id": other.id}
        self._values = {**known, **users, "deleted_by_user_id": None, "document_id": self._ids["message_id"]}
        self._stored: dict[str, dict[str, Any]] = {}
        for table in Base.metadata.sorted_tables:
            if table.name not in _OF_CLINICS:
                row = self._stored[table.name] = self._row(table)
                unit.execute(insert(table), [row])
                self._note(table, row)

    def _row(self, table: Table) -> dict[str, Any]:
        row = {column.name: self._value(table, column) for column in table.columns}
        for key in table.foreign_keys:
            if key.column.table.name in self._stored:
                row[key.parent.name] = self._stored[key.column.table.name][key.column.name]
        return row | self._linked(table.name, row)

    def _note(self, table: Table, row: Mapping[str, Any]) -> None:
        for column in table.columns:
            is_hidden = DERIVED.items() <= column.info.items() or isinstance(column.type, LargeBinary)
            (self.hidden if is_hidden else self.texts).update(_TEXT.findall(repr(row[column.name])))

    def _value(self, table: Table, column: Column[Any]) -> Any:
        if column.name in self._values:
            return self._values[column.name]
        text = f"canary-{self._person.id}-{table.name}-{column.name}."
        match column.type:
            case Enum() as kind:
                return kind.python_type(kind.enums[0])
            case Boolean():
                return False
            case Integer():
                return 1
            case Float():
                return 1.5
            case UtcDateTime():
                return clock.now()
            case ObjectId():
                return new_id()
            case UserId():
                return self._person.id
            case LargeBinary():
                return text.encode()
            case Json():
                return {"text": text}
            case JsonText():
                return f'{{"text": "{text}"}}'
            case _:
                return text[: getattr(column.type, "length", None)]

    def _linked(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """What makes the row one about the person, and valid."""
        person = self._person
        match table:
            case "patients":
                return {"id": self._ids["patient_id"], "birth_date": "1987-04-12"}
            case "clinicians":
                return {"id": self._ids["clinician_id"], "is_member": True}
            case "redox_messages":
                return {"id": self._ids["message_id"], "duplicate_of": None}
            case "xealth_orders":
                return {"id": self._ids["message_id"]}
            case "xealth_preorders":
                return {"email": person.email}
            case "account_emails":
                return {"email": person.email}
            case "outbox":
                return {"payload": {**row["payload"], "userId": person.id}}
            case "stored_answers":
                return {"body": row["body"] + person.id.encode()}
            case "patient_deletions" | "clinician_deletions":
                return {"record": {**row["record"], "id": row["id"]}}
            case "merge_plan_elements":
                return {"element": {**row["element"], "userId": person.id, "action": "MOVE"}}
        return {}
