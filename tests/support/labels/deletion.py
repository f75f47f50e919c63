"""The rules of DeletePatientTag and DeleteSite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Patient
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.clocks import NOW
from tests.support.errors import assert_error, assert_violations
from tests.support.labels.kinds import LabelTests
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_patient, make_staffed_clinic, stored, storing
from tests.support.tags_and_sites import clinic_time, patient_times
from tests.support.units import meanwhile, number_of_statements


class Place(NamedTuple):
    clinic_id: str
    label_id: str
    other_id: str


class LabelDeletion(LabelTests):
    # The answer for a label that the clinic does not have: 204 or 404.
    status_when_absent: ClassVar[int]

    @pytest.fixture
    def place(self, database: Database) -> Place:
        """A clinic where Carol has both labels, and Dave the other one."""
        with storing(database) as unit:
            clinic = make_staffed_clinic(unit)
            label, other = self.make(unit, clinic, "Pump"), self.make(unit, clinic, "Other")
            self.kind.give_to_patient(unit, make_patient(unit, clinic, CAROL), label, other)
            self.kind.give_to_patient(unit, make_patient(unit, clinic, DAVE), other)
            return Place(clinic.id, label.id, other.id)

    def delete(self, api: Client, place: Place, as_: Somebody | None = ALICE) -> Reply:
        return api.delete(f"/v1/clinics/{place.clinic_id}/{self.kind.path}/{place.label_id}", as_=as_)

    def assert_absent(self, reply: Reply) -> None:
        """`reply` is the answer for a label that the clinic does not have."""
        if self.status_when_absent == 404:
            assert_error(reply, 404)
        else:
            assert (reply.status, reply.json) == (self.status_when_absent, None)

    @pytest.mark.parametrize("caller", [ALICE, SERVICE])
    def test_removes_the_label(self, api: Client, database: Database, place: Place, caller: Somebody) -> None:
        reply = self.delete(api, place, caller)
        assert (reply.status, reply.json) == (204, None)
        assert self.names(database, place.clinic_id) == ["Other"]
        assert clinic_time(database, place.clinic_id) == NOW
        assert stored(database, OutboxEntry) == []

    def test_patients_lose_the_label_and_stay_patients(self, api: Client, database: Database, place: Place) -> None:
        self.delete(api, place)
        shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
        assert self.kind.ids_of_patient(shown) == [place.other_id]
        assert self.patients_with(database, place.label_id) == set()
        assert self.patients_with(database, place.other_id) == {CAROL.id, DAVE.id}
        assert len(stored(database, Patient)) == 2

    def test_only_patients_who_had_the_label_have_changed(self, api: Client, database: Database, place: Place) -> None:
        self.delete(api, place)
        assert patient_times(database) == {CAROL.id: NOW, DAVE.id: LONG_AGO}

    @pytest.mark.parametrize("milliseconds", [0, 5, 998, 999])
    def test_the_time_of_a_patient_always_grows(
        self, api: Client, database: Database, place: Place, milliseconds: int
    ) -> None:
        """Also on New Year's Eve, and when the clock has been set back."""
        before = datetime(2027, 12, 31, 23, 59, 59, milliseconds * 1000, tzinfo=UTC)
        with storing(database) as unit:
            for patient in unit.patients.all_of_user(CAROL.id):
                patient.updated_time = before
        self.delete(api, place)
        assert patient_times(database)[CAROL.id] == before + timedelta(milliseconds=1)

    def test_a_label_without_patients_can_be_removed(self, api: Client, database: Database, place: Place) -> None:
        with storing(database) as unit:
            unused = self.make(unit, unit.clinics.get(place.clinic_id), "Unused")
        assert self.delete(api, place._replace(label_id=unused.id)).status == 204
        assert set(patient_times(database).values()) == {LONG_AGO}

    def test_a_repeat_changes_nothing(self, api: Client, database: Database, place: Place) -> None:
        self.delete(api, place)
        with clock.frozen(NOW + timedelta(seconds=1)):
            self.assert_absent(self.delete(api, place))
        assert clinic_time(database, place.clinic_id) == NOW

    def test_unknown_labels_are_absent(self, api: Client, database: Database, place: Place) -> None:
        self.assert_absent(self.delete(api, place._replace(label_id="0" * 24)))
        assert self.names(database, place.clinic_id) == ["Pump", "Other"]
        assert clinic_time(database, place.clinic_id) == LONG_AGO

    def test_labels_of_other_clinics_stay(self, api: Client, database: Database, place: Place) -> None:
        with storing(database) as unit:
            clinic = make_clinic(unit)
            elsewhere = self.make(unit, clinic, "Pump")
            self.kind.give_to_patient(unit, make_patient(unit, clinic, ERIN), elsewhere)
        self.assert_absent(self.delete(api, place._replace(label_id=elsewhere.id)))
        assert self.patients_with(database, elsewhere.id) == {ERIN.id}
        assert set(patient_times(database).values()) == {LONG_AGO}
        assert clinic_time(database, place.clinic_id) == LONG_AGO

    def test_the_name_can_be_used_again(self, api: Client, place: Place) -> None:
        self.delete(api, place)
        path = f"/v1/clinics/{place.clinic_id}/{self.kind.path}"
        assert api.post(path, as_=ALICE, json={"name": "pump"}).status == 200

    def test_of_two_requests_at_once_one_finds_no_label(self, api: Client, database: Database, place: Place) -> None:
        reply = meanwhile(
            database,
            lambda unit: self.kind.delete(unit, place.clinic_id, place.label_id),
            lambda: self.delete(api, place),
        )
        self.assert_absent(reply)
        assert self.names(database, place.clinic_id) == ["Other"]

    @pytest.mark.one_engine
    def test_malformed_ids_are_refused(self, api: Client, place: Place) -> None:
        malformed = place._replace(label_id="A" * 24)
        assert_violations(self.delete(api, malformed), (f"/path/{self.kind.path_id}", "pattern"))
        malformed = place._replace(clinic_id="A" * 24)
        assert_violations(self.delete(api, malformed, SERVICE), ("/path/clinicId", "pattern"))

    @pytest.mark.one_engine
    def test_needs_a_token(self, api: Client, place: Place) -> None:
        assert_error(self.delete(api, place, None), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY, CAROL])
    def test_is_for_admins_and_services(self, api: Client, database: Database, place: Place, caller: Somebody) -> None:
        with storing(database) as unit:
            make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        assert_error(self.delete(api, place, caller), 403)
        assert self.names(database, place.clinic_id) == ["Pump", "Other"]
        assert self.patients_with(database, place.label_id) == {CAROL.id}

    def test_unknown_clinics_are_not_found(self, api: Client, place: Place) -> None:
        assert_error(self.delete(api, place._replace(clinic_id="0" * 24), SERVICE), 404)

    def test_the_number_of_statements_is_fixed(self, api: Client, database: Database, place: Place) -> None:
        with storing(database) as unit:
            large = self.kind.repository(unit).get(place.clinic_id, place.other_id)
            for number in range(20):
                person = make_patient(unit, unit.clinics.get(place.clinic_id), ERIN, user_id=f"{number:010x}")
                self.kind.give_to_patient(unit, person, large)
        small = number_of_statements(database, lambda: self.delete(api, place))
        assert number_of_statements(database, lambda: self.delete(api, place._replace(label_id=large.id))) == small == 5
        assert self.patients_with(database, large.id) == set()
        assert len(stored(database, Patient)) == 22
