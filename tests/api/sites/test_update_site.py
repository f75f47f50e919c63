"""UpdateSite: PUT /v1/clinics/{clinicId}/sites/{siteId}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import BOB, CAROL, DAVE
from tests.support.client import Client
from tests.support.clocks import NOW
from tests.support.errors import assert_error, assert_violations
from tests.support.labels.kinds import SITES, LabelPlace
from tests.support.labels.renaming import LabelRenaming
from tests.support.rows import LONG_AGO
from tests.support.tags_and_sites import patient_times


class TestUpdateSite(LabelRenaming):
    kind = SITES
    # Access, lock, site, names, update, the patients' times, the clinic's time, and what is shown.
    statements = 8

    @pytest.mark.one_engine
    def test_members_may_not_rename_one(self, api: Client, database: Database, place: LabelPlace) -> None:
        assert_error(self.rename(api, place, "North Wing", BOB), 403)
        assert self.names(database, place.clinic_id) == ["North Side"]

    def test_its_patients_show_the_new_name_and_have_changed(
        self, api: Client, database: Database, place: LabelPlace
    ) -> None:
        self.rename(api, place, "North Wing")
        shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
        assert shown["sites"] == [{"id": place.label_id, "name": "North Wing"}]
        # Dave, who does not belong to the site, has not changed.
        assert patient_times(database) == {CAROL.id: NOW, DAVE.id: LONG_AGO}

    @pytest.mark.one_engine
    def test_names_that_break_the_pattern_are_refused(self, api: Client, database: Database, place: LabelPlace) -> None:
        assert_violations(self.rename(api, place, "A\tB"), ("/body/name", "pattern"))
        assert self.names(database, place.clinic_id) == ["North Side"]
