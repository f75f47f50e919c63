"""Every table, also one that is yet to come, is declared: how its rows relate to a person, or why they do not."""

from __future__ import annotations

import pytest
from sqlalchemy import Column
from sqlalchemy.sql.visitors import iterate

from clinic_service.db.base import Base
from clinic_service.db.types import UserId
from clinic_service.personal_data.declaration import DECLARED, About

TABLES = Base.metadata.tables


def test_every_table_is_declared() -> None:
    assert sorted(DECLARED) == sorted(TABLES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_column_with_a_user_id_is_part_of_the_declaration(name: str) -> None:
    declared = DECLARED[name]
    columns = iterate(declared.condition) if isinstance(declared, About) else ()
    used = {one.name for one in columns if isinstance(one, Column) and one.table is TABLES[name]}
    users = {column.name for column in TABLES[name].columns if isinstance(column.type, UserId)}
    assert users == users & {*used, *declared.mentions}
    assert set(declared.mentions) <= set(TABLES[name].columns.keys())


@pytest.mark.parametrize("name", [name for name, declared in DECLARED.items() if not isinstance(declared, About)])
def test_a_table_without_personal_data_has_a_reason(name: str) -> None:
    declared = DECLARED[name]
    assert not isinstance(declared, About)
    assert declared.why.endswith(".")
