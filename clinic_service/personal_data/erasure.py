"""Erasure: removes the data that is stored about one person, in one transaction.

The transaction locks the clinics of the person as the operations do, so servers may run at the same time. A repeated
erasure removes the data that was stored since, and the events that had to be delivered before they could be removed.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Delete, Table, Update, delete, func, select, update

from clinic_service.db.engine import Database
from clinic_service.errors import Conflict
from clinic_service.personal_data.declaration import About, Erasure, Person, declared
from clinic_service.resources.users.service import remove_from_clinics
from clinic_service.unit_of_work import UnitOfWork, run

# The rows of these tables are found by their matches with the person's records, so they are removed before the records.
_BEFORE_RECORDS = ("redox_messages", "xealth_orders", "xealth_preorders")

# The directory deletes these rows itself, and refuses the tokens of the person from then on.
_OF_DIRECTORY = ("accounts", "account_emails")


class OnlyAdmin(Conflict):
    """The person is the only admin of a clinic. Without an admin, patients would leave it too."""

    message = "The person is the only admin of a clinic. First give the clinic another admin, or delete the clinic."


class Erased(NamedTuple):
    """How many rows of a table were removed or emptied, and how many about the person are left to be removed later."""

    table: str
    number: int
    left: int


def count(database: Database, person: Person) -> list[Erased]:
    """The rows that an erasure would remove now, as numbers by table."""
    return run(
        database, lambda uow: [Erased(t.name, _count(uow, t, a, person), 0) for t, a in declared()], writes=False
    )


def erase(uow: UnitOfWork, person: Person) -> list[Erased]:
    """Remove or empty every row about the person, except in the directory of accounts. Returns what was done, by table.

    Raises OnlyAdmin.
    """
    clinic_ids = uow.users.lock_clinics(person.user_id, person.emails)
    if uow.clinicians.only_admin_of(person.user_id, clinic_ids):
        raise OnlyAdmin
    tables = declared()
    before = {table.name: _count(uow, table, about, person) for table, about in tables}
    for table, about in tables:
        if table.name in _BEFORE_RECORDS:
            _erase(uow, table, about, person)
    remove_from_clinics(uow, person.user_id, person.emails)
    emptied = {table.name: _erase(uow, table, about, person) for table, about in tables}
    return [
        Erased(
            table.name,
            emptied[table.name] if about.erasure is Erasure.EMPTIED else before[table.name],
            _left(uow, table, about, person),
        )
        for table, about in tables
    ]


def _count(uow: UnitOfWork, table: Table, about: About, person: Person) -> int:
    return _number(uow, table, about.removable, person)


def _left(uow: UnitOfWork, table: Table, about: About, person: Person) -> int:
    if about.erasure is Erasure.EMPTIED or table.name in _OF_DIRECTORY:
        return 0
    return _number(uow, table, about.condition & ~about.kept, person)


def _number(uow: UnitOfWork, table: Table, condition: ColumnElement[bool], person: Person) -> int:
    rows = select(func.count()).select_from(table).where(condition)
    return uow.execute(rows, person.parameters(condition)).scalar_one()


def _erase(uow: UnitOfWork, table: Table, about: About, person: Person) -> int:
    if about.erasure is Erasure.LEAVES_CLINICS or table.name in _OF_DIRECTORY:
        return 0
    condition = about.removable
    change: Delete | Update = delete(table).where(condition)
    if about.document is not None:
        change = update(table).where(condition).values({about.document: {}})
    return uow.execute(change, person.parameters(condition)).rowcount
