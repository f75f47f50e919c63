"""Export: all data that is stored about one person, as one JSON document."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Column, LargeBinary, Table, select

from clinic_service import clock
from clinic_service.db.base import DERIVED
from clinic_service.db.types import JsonText
from clinic_service.models import Clinic, PatientSite, PatientTag, Site, Tag
from clinic_service.personal_data.declaration import About, Person, declared
from clinic_service.unit_of_work import UnitOfWork

_NAMES = (
    (PatientTag.__tablename__, "tag_id", Tag),
    (PatientSite.__tablename__, "site_id", Site),
)


def export(uow: UnitOfWork, person: Person) -> dict[str, Any]:
    """The document: by table, the rows about the person. Tables without such rows are left out.

    Columns that are computed from others, and hashes, are left out. Tags and sites have their names.
    """
    with uow.snapshot():
        tables = {str(table.name): _rows(uow, table, about, person) for table, about in declared()}
        found = {name: rows for name, rows in sorted(tables.items()) if rows}
        for name, column, model in _NAMES:
            _add_names(uow, found.get(name, []), column, model)
        clinics = _clinics(uow, {row["clinic_id"] for rows in found.values() for row in rows if row.get("clinic_id")})
    return {
        "userId": person.user_id,
        "emails": list(person.emails),
        "exportedTime": clock.to_wire(uow.now),
        "clinics": clinics,
        "tables": found,
    }


def _rows(uow: UnitOfWork, table: Table, about: About, person: Person) -> list[dict[str, Any]]:
    columns = [column for column in table.columns if not _is_left_out(column)]
    rows = select(*columns).where(about.condition).order_by(*table.primary_key)
    found = uow.execute(rows, person.parameters(about.condition))
    return [{str(c.name): _shown(c, value) for c, value in zip(columns, row, strict=True)} for row in found]


def _is_left_out(column: Column[Any]) -> bool:
    return DERIVED.items() <= column.info.items() or isinstance(column.type, LargeBinary)


def _shown(column: Column[Any], value: Any) -> Any:
    return orjson.loads(value) if isinstance(column.type, JsonText) and value is not None else value


def _add_names(uow: UnitOfWork, rows: list[dict[str, Any]], column: str, model: type[Tag] | type[Site]) -> None:
    ids = [row[column] for row in rows]
    named = uow.execute(select(model.id, model.name).where(model.id.in_(ids))).all()
    names = {row.id: row.name for row in named}
    for row in rows:
        row["name"] = names[row[column]]


def _clinics(uow: UnitOfWork, ids: set[str]) -> list[dict[str, Any]]:
    rows = uow.execute(select(Clinic.id, Clinic.name).where(Clinic.id.in_(sorted(ids))).order_by(Clinic.id))
    return [{"id": row.id, "name": row.name} for row in rows]
