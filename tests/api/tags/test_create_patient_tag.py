"""CreatePatientTag: POST /v1/clinics/{clinicId}/patient_tags"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Tag
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.labels.creation import LabelCreation
from tests.support.labels.kinds import TAGS
from tests.support.rows import stored, storing

WHITE_SPACE = "\t\n\f\r "
# Other characters that Unicode, or `\\s` in some language, counts as white space.
OTHER_WHITE_SPACE = [
    *(chr(code) for code in range(0x3100) if chr(code).isspace() and chr(code) not in WHITE_SPACE),
    "\u180e",
    "\u200b",
    "\ufeff",
]


class TestCreatePatientTag(LabelCreation):
    kind = TAGS

    def test_members_may_add_one(self, api: Client, clinic_id: str) -> None:
        assert self.create(api, clinic_id, "Pump", BOB).status == 200

    @pytest.mark.parametrize("name", ["P", "T1D > 9_<+-", "Ärztin 東京", "-"])
    def test_names_are_kept_as_given(self, api: Client, clinic_id: str, name: str) -> None:
        assert self.create(api, clinic_id, name).json["name"] == name

    @pytest.mark.parametrize("space", WHITE_SPACE)
    def test_white_space_within_a_name_is_kept(self, api: Client, clinic_id: str, space: str) -> None:
        assert self.create(api, clinic_id, f"Closed{space}loop").json["name"] == f"Closed{space}loop"

    @pytest.mark.one_engine
    @pytest.mark.parametrize("character", OTHER_WHITE_SPACE, ids=ascii)
    def test_other_white_space_is_refused(
        self, api: Client, database: Database, clinic_id: str, character: str
    ) -> None:
        for name in (f"Closed{character}loop", f"Closed{character}", character):
            assert_violations(self.create(api, clinic_id, name), ("/body/name", "pattern"))
        assert stored(database, Tag) == []

    @pytest.mark.parametrize("name", ["Pump\t", "Pump \n"])
    def test_all_white_space_at_the_end_is_removed(
        self, api: Client, database: Database, clinic_id: str, name: str
    ) -> None:
        assert self.create(api, clinic_id, name).json["name"] == "Pump"
        assert self.names(database, clinic_id) == ["Pump"]

    @pytest.mark.parametrize("name", ["northside", "N o r t h s i d e", "NorthSide "])
    def test_a_name_that_differs_in_spaces_only_is_taken(
        self, api: Client, database: Database, clinic_id: str, name: str
    ) -> None:
        assert self.create(api, clinic_id, "North Side").status == 200
        assert_error(self.create(api, clinic_id, name), 409)
        assert self.names(database, clinic_id) == ["North Side"]

    def test_the_limit_is_checked_before_the_name(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            self.make_numbered(unit, unit.clinics.get(clinic_id), range(50))
        assert_error(self.create(api, clinic_id, "Label 0"), 422)
        assert_error(self.create(api, clinic_id, "label0"), 422)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("body", [{"name": "T#"}, {"name": "a/b"}])
    def test_names_that_break_the_pattern_are_refused(
        self, api: Client, database: Database, clinic_id: str, body: Any
    ) -> None:
        assert_violations(self.post(api, clinic_id, body), ("/body/name", "pattern"))
        assert stored(database, Tag) == []
