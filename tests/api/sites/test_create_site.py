"""CreateSite: POST /v1/clinics/{clinicId}/sites"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Site
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.labels.creation import LabelCreation
from tests.support.labels.kinds import SITES
from tests.support.rows import stored, storing


class TestCreateSite(LabelCreation):
    kind = SITES

    @pytest.mark.one_engine
    def test_members_may_not_add_one(self, api: Client, database: Database, clinic_id: str) -> None:
        assert_error(self.create(api, clinic_id, "City Clinic", BOB), 403)
        assert stored(database, Site) == []

    @pytest.mark.parametrize("name", ["A", "Ärztehaus 東京", "(Ward #2) a/b", "!~"])
    def test_names_are_kept_as_given(self, api: Client, clinic_id: str, name: str) -> None:
        assert self.create(api, clinic_id, name).json["name"] == name

    def test_names_that_differ_in_inner_spaces_are_different(self, api: Client, clinic_id: str) -> None:
        for name in ("City Clinic", "CityClinic", "City  Clinic"):
            assert self.create(api, clinic_id, name).status == 200

    def test_the_name_is_checked_before_the_limit(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            self.make_numbered(unit, unit.clinics.get(clinic_id), range(50))
        assert_error(self.create(api, clinic_id, "label 0"), 409)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", ["A\tB", "A\u2013B", "A\n"])
    def test_names_that_break_the_pattern_are_refused(
        self, api: Client, database: Database, clinic_id: str, name: str
    ) -> None:
        assert_violations(self.create(api, clinic_id, name), ("/body/name", "pattern"))
        assert stored(database, Site) == []
