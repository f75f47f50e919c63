"""DeletePatientTag: DELETE /v1/clinics/{clinicId}/patient_tags/{patientTagId}"""

from __future__ import annotations

from clinic_service.db.engine import Database
from clinic_service.models import PatientTag
from clinic_service.resources.tags import service
from tests.support.cast import SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.labels.deletion import LabelDeletion, Place
from tests.support.labels.kinds import TAGS
from tests.support.rows import stored
from tests.support.units import meanwhile


class TestDeletePatientTag(LabelDeletion):
    kind = TAGS
    # A tag that is not there is no error.
    status_when_absent = 204

    def test_a_request_that_gives_the_tag_at_once_finds_no_tag(
        self, api: Client, database: Database, place: Place
    ) -> None:
        path = f"/v1/clinics/{place.clinic_id}/patients/assign_tag/{place.label_id}"
        reply = meanwhile(
            database,
            lambda unit: service.delete_tag(unit, place.clinic_id, place.label_id),
            lambda: api.post(path, as_=SERVICE),
        )
        assert_error(reply, 404)
        assert {link.tag_id for link in stored(database, PatientTag)} == {place.other_id}
