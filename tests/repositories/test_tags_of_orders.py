"""Tags by name, some of which have to be created first, on both engines."""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Tag
from clinic_service.resources.tags.service import ensure_tags
from tests.support.rows import LONG_AGO, make_clinic, make_tag, stored, storing


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_clinic(unit)


def _ensure(database: Database, clinic: Clinic, *names: str) -> list[str]:
    with storing(database) as unit:
        return ensure_tags(unit, clinic.id, names)


def _names(database: Database) -> dict[str, str]:
    return {tag.id: tag.name for tag in stored(database, Tag)}


def test_tags_that_are_there_are_found_whatever_their_spelling(database: Database, clinic: Clinic) -> None:
    with storing(database) as unit:
        pump, north = make_tag(unit, clinic, "Insulin Pump"), make_tag(unit, clinic, "North")
    assert _ensure(database, clinic, "north", "insulinpump", "NORTH") == [north.id, pump.id]
    assert len(_names(database)) == 2
    assert stored(database, Clinic)[0].updated_time == LONG_AGO


def test_missing_tags_are_created(database: Database, clinic: Clinic) -> None:
    ids = _ensure(database, clinic, "Pump", "North ", "pump")
    assert [_names(database)[one] for one in ids] == ["Pump", "North"]
    assert stored(database, Clinic)[0].updated_time > LONG_AGO
    assert _ensure(database, clinic, "North", "Pump") == ids[::-1]


def test_names_that_no_tag_can_have_are_left_out(database: Database, clinic: Clinic) -> None:
    assert len(_ensure(database, clinic, "a.b", "", "x" * 21, "<script>;", "Pump")) == 1
    assert list(_names(database).values()) == ["Pump"]


def test_names_for_which_there_is_no_room_are_left_out(database: Database, clinic: Clinic) -> None:
    with storing(database) as unit:
        tags = [make_tag(unit, clinic, f"Tag {number}") for number in range(Tag.most_per_clinic - 1)]
    ids = _ensure(database, clinic, "One more", "Another", "Tag 7")
    assert len(ids) == 2
    assert ids[1] == tags[7].id
    assert len(_names(database)) == Tag.most_per_clinic


def test_tags_of_another_clinic_are_none(database: Database, clinic: Clinic) -> None:
    with storing(database) as unit:
        theirs = make_tag(unit, make_clinic(unit), "Pump")
    assert _ensure(database, clinic, "Pump") != [theirs.id]
