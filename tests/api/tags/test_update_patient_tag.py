"""UpdatePatientTag: PUT /v1/clinics/{clinicId}/patient_tags/{patientTagId}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.labels.kinds import TAGS, LabelPlace
from tests.support.labels.renaming import LabelRenaming
from tests.support.rows import LONG_AGO, storing
from tests.support.tags_and_sites import patient_times


class TestUpdatePatientTag(LabelRenaming):
    kind = TAGS
    # Access, lock, tag, names, update, the clinic's time, and what is shown.
    statements = 7

    def test_members_may_rename_one(self, api: Client, place: LabelPlace) -> None:
        assert self.rename(api, place, "Pregnant", BOB).status == 200

    def test_its_patients_have_not_changed(self, api: Client, database: Database, place: LabelPlace) -> None:
        self.rename(api, place, "Pregnant")
        assert set(patient_times(database).values()) == {LONG_AGO}

    @pytest.mark.parametrize("name", ["NorthSide", "N orth Side"])
    def test_the_spaces_of_the_own_name_can_be_changed(
        self, api: Client, database: Database, place: LabelPlace, name: str
    ) -> None:
        assert self.rename(api, place, name).json["name"] == name
        assert self.names(database, place.clinic_id) == [name]

    def test_the_name_of_another_tag_with_other_spaces_is_refused(
        self, api: Client, database: Database, place: LabelPlace
    ) -> None:
        with storing(database) as unit:
            self.make(unit, unit.clinics.get(place.clinic_id), "Pump")
        assert_error(self.rename(api, place, "P U M P"), 409)
        assert self.names(database, place.clinic_id) == ["North Side", "Pump"]

    @pytest.mark.one_engine
    def test_names_that_break_the_pattern_are_refused(self, api: Client, database: Database, place: LabelPlace) -> None:
        assert_violations(self.rename(api, place, "a/b"), ("/body/name", "pattern"))
        assert self.names(database, place.clinic_id) == ["North Side"]
