"""The rules that AssignPatientTagToClinicPatients and DeletePatientTagFromClinicPatients share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.cast import BOB, CAROL, DAVE, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.clocks import NOW
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_clinician, storing
from tests.support.tags_and_sites import carriers, patient_times


class ChangesOfCarriers:
    """Needs a fixture `place`: a clinic, and a tag that the request changes for Carol and for Dave."""

    # Sends the request: `send(api, place, body, as_=...)`, by default without a body and as Alice.
    send: ClassVar[Callable[..., Reply]]

    @pytest.mark.parametrize("body", [..., [CAROL.id]])
    def test_a_repeat_changes_nothing(self, api: Client, database: Database, place: Any, body: Any) -> None:
        self.send(api, place, body)
        with clock.frozen(NOW + timedelta(seconds=1)):
            assert self.send(api, place, body).status == 200
        assert patient_times(database)[CAROL.id] == NOW

    def test_up_to_1000_ids_are_accepted(self, api: Client, database: Database, place: Any) -> None:
        before = carriers(database, place.tag_id)
        ids = [f"{number:010x}" for number in range(999)]
        assert self.send(api, place, [*ids, CAROL.id]).status == 200
        assert carriers(database, place.tag_id) ^ before == {CAROL.id}
        assert_error(self.send(api, place, [*ids, CAROL.id, DAVE.id]), 400)

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "body", [[], [CAROL.id, CAROL.id], ["carol"], [None], [5], {}, CAROL.id, {"ids": [CAROL.id]}]
    )
    def test_bodies_that_break_the_spec_are_refused(
        self, api: Client, database: Database, place: Any, body: Any
    ) -> None:
        before = carriers(database, place.tag_id)
        assert_error(self.send(api, place, body), 400)
        assert carriers(database, place.tag_id) == before

    @pytest.mark.one_engine
    def test_malformed_ids_are_refused(self, api: Client, place: Any) -> None:
        assert_violations(self.send(api, place._replace(tag_id="A" * 24)), ("/path/patientTagId", "pattern"))
        malformed = place._replace(clinic_id="A" * 24)
        assert_violations(self.send(api, malformed, as_=SERVICE), ("/path/clinicId", "pattern"))

    @pytest.mark.one_engine
    def test_needs_a_token(self, api: Client, place: Any) -> None:
        assert_error(self.send(api, place, as_=None), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("caller", [BOB, MALLORY, CAROL])
    def test_is_for_admins_and_services(self, api: Client, database: Database, place: Any, caller: Somebody) -> None:
        before = carriers(database, place.tag_id)
        with storing(database) as unit:
            make_clinician(unit, make_clinic(unit), MALLORY, "CLINIC_ADMIN")
        assert_error(self.send(api, place, as_=caller), 403)
        assert carriers(database, place.tag_id) == before
