"""Constant statements: the rows they give, and how many rows they change."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from clinic_service.db.engine import Database
from clinic_service.db.prepared import Query, insert_into
from clinic_service.models import Clinic, ShareCode, Tier
from clinic_service.unit_of_work import reading, writing
from tests.support.rows import LONG_AGO

ADD = insert_into(ShareCode, "code", "clinic_id", "canonical")
CODES = select(ShareCode.code, ShareCode.canonical).order_by(ShareCode.code)
MOVE = update(ShareCode).where(ShareCode.code == bindparam("of_code")).values(clinic_id=bindparam("to"))
REMOVE_OF = delete(ShareCode).where(ShareCode.clinic_id == bindparam("of_clinic"))


class Code(NamedTuple):
    code: str
    canonical: bool


def code(name: str, clinic_id: str = "a", *, canonical: bool = False) -> dict[str, Any]:
    return {"code": name, "clinic_id": clinic_id, "canonical": canonical}


class TestRows:
    def test_have_the_type_of_the_query_and_converted_values(self, database: Database) -> None:
        class Row(NamedTuple):
            tier: Tier | None
            phone_numbers: list[dict[str, Any]] | None
            is_migrated: bool
            updated_time: Any

        query = Query(Row, select(Clinic.tier, Clinic.phone_numbers, Clinic.is_migrated, Clinic.updated_time))
        numbers = [{"type": "Office", "number": "555-0100"}]
        stamps = {"created_time": LONG_AGO, "updated_time": LONG_AGO}
        with writing(database) as unit:
            unit.execute(insert(Clinic), {"id": f"{1:024x}", "tier": "tier0300", "phone_numbers": numbers, **stamps})
            (row,) = unit.rows(query, {})
        assert row == Row(Tier("tier0300"), numbers, False, LONG_AGO)
        assert isinstance(row, Row)
        assert row.is_migrated is False

    def test_are_named_tuples_without_a_type_of_their_own(self, database: Database) -> None:
        with writing(database) as unit:
            unit.insert(ADD, code("B", canonical=True), code("A"))
            rows = unit.rows(CODES, {})
        assert rows == [("A", False), ("B", True)]
        assert [row.code for row in rows] == ["A", "B"]

    def test_columns_without_a_name_are_read_by_their_place(self, database: Database) -> None:
        with writing(database) as unit:
            unit.insert(ADD, code("A"), code("B"))
            assert unit.rows(select(func.count()).select_from(ShareCode), {}) == [(2,)]

    def test_the_first_one_is_none_when_there_are_none(self, database: Database) -> None:
        query = Query(Code, CODES)
        with writing(database) as unit:
            assert unit.first(query, {}) is None
            unit.insert(ADD, code("B"), code("A"))
            assert unit.first(query, {}) == Code("A", False)

    @pytest.mark.parametrize("statement", [select(ShareCode.canonical, ShareCode.code), select(ShareCode.code)])
    def test_a_type_with_other_fields_is_refused(self, statement: Any) -> None:
        with pytest.raises(TypeError, match="Code must have the fields"):
            Query(Code, statement)


class TestChange:
    def test_tells_how_many_rows_it_changed(self, database: Database) -> None:
        with writing(database) as unit:
            unit.insert(ADD, code("A"), code("B"), code("C", "b"))
            assert unit.change(MOVE) == 0
            assert unit.change(MOVE, {"of_code": "Z", "to": "c"}) == 0
            assert unit.change(MOVE, {"of_code": "A", "to": "c"}) == 1
            assert unit.change(MOVE, *({"of_code": name, "to": "c"} for name in ("B", "C", "Z"))) == 2
            assert unit.change(REMOVE_OF, {"of_clinic": "c"}) == 3
        with reading(database) as unit:
            assert unit.rows(CODES, {}) == []

    def test_what_breaks_a_constraint_raises_as_elsewhere(self, database: Database) -> None:
        with pytest.raises(IntegrityError), writing(database) as unit:
            unit.insert(ADD, code("A"), code("A"))
