"""Events and mails about a merge, and its statements."""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Base, OutboxEntry
from clinic_service.resources.merges import moving, repository
from tests.api.merges.steps import merge, told
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.merges import Pair
from tests.support.rows import make_clinic, make_clinician, make_patient, make_tag, stored, storing, tag_patient
from tests.support.units import number_of_statements


class TestEvents:
    def test_others_learn_who_is_where(self, api: Client, database: Database, full: Pair) -> None:
        merge(api, full)
        kinds = ("patient_added", "patient_removed", "patient_changed", "clinician_added", "clinician_removed")
        assert told(database, *kinds) == {
            *(("patient_removed", full.source, user) for user in (CAROL.id, DAVE.id, MALLORY.id)),
            *(("patient_added", full.target, user) for user in (CAROL.id, MALLORY.id)),
            ("patient_changed", full.target, DAVE.id),
            *(("clinician_removed", full.source, user) for user in (ALICE.id, BOB.id, ERIN.id)),
            ("clinician_added", full.target, ERIN.id),
        }
        assert told(database, "clinic_merged", "clinic_deleted") == {
            ("clinic_merged", full.target, None),
            ("clinic_deleted", full.source, None),
        }

    def test_nothing_happens_to_accounts_that_the_clinic_manages(
        self, api: Client, database: Database, full: Pair
    ) -> None:
        """Who hears of a custodial patient's removal may delete the account; of a new one, may write to the patient."""
        merge(api, full)
        entries = {(one.kind, one.payload.get("userId")): one.payload for one in stored(database, OutboxEntry)}
        assert {p["custodial"] for (kind, _), p in entries.items() if kind == "patient_removed"} == {False}
        added = entries["patient_added", CAROL.id]
        assert (added["custodial"], added["isMigrated"]) == (True, True)

    @pytest.mark.parametrize("links", [("tags",), ("sites",), ("tags", "sites"), ()])
    def test_what_the_target_gains_is_named(
        self, api: Client, database: Database, pair: Pair, links: tuple[str, ...]
    ) -> None:
        with storing(database) as unit:
            source = unit.clinics.get(pair.source)
            patient = make_patient(unit, source, DAVE)
            make_patient(unit, unit.clinics.get(pair.target), DAVE)
            if "tags" in links:
                tag_patient(unit, patient, make_tag(unit, source, "Pump"))
            if "sites" in links:
                site = unit.sites.add(source.id, "West")
                unit.execute(
                    Base.metadata.tables["patient_sites"].insert(),
                    {"clinic_id": source.id, "patient_id": patient.id, "site_id": site.id, "position": 0},
                )
        merge(api, pair)
        changes = [one.payload["changed"] for one in stored(database, OutboxEntry) if one.kind == "patient_changed"]
        assert changes == ([list(links)] if links else [])


class TestMails:
    PATIENT, CLINICIAN, ADMIN = (
        f"clinic_merged_{who}_notification" for who in ("patient", "source_clinician", "target_admin")
    )

    def test_go_to_patients_and_members_of_the_source_and_to_administrators_of_the_target(
        self, api: Client, database: Database, full: Pair
    ) -> None:
        merge(api, full)
        assert told(database, self.PATIENT, self.CLINICIAN, self.ADMIN) == {
            *((self.PATIENT, None, user) for user in (CAROL.id, DAVE.id, MALLORY.id)),
            *((self.CLINICIAN, None, user) for user in (ALICE.id, BOB.id, ERIN.id)),
            (self.ADMIN, None, ALICE.id),
        }
        payloads = [one.payload for one in stored(database, OutboxEntry) if one.kind == self.PATIENT]
        assert {(one["SourceClinicName"], one["TargetClinicName"]) for one in payloads} == {("Hilltop", "Harbour")}

    def test_do_not_go_to_service_accounts_and_invitations(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            for clinic_id in pair:
                clinic = unit.clinics.get(clinic_id)
                make_clinician(unit, clinic, BOB, "CLINIC_ADMIN", email=None, is_service_account=True)
            make_clinician(unit, unit.clinics.get(pair.target), PETE, "CLINIC_ADMIN", user_id=None, invite_id="i")
        merge(api, pair)
        assert told(database, self.PATIENT, self.CLINICIAN, self.ADMIN) == set()

    def test_speak_of_clinics_without_a_name(self, api: Client, database: Database) -> None:
        with storing(database) as unit:
            source, target = make_clinic(unit, name=None), make_clinic(unit, name="")
            make_patient(unit, source, CAROL)
            make_clinician(unit, source, BOB)
            make_clinician(unit, target, ALICE, "CLINIC_ADMIN")
        merge(api, Pair(source.id, target.id))
        names = {
            entry.kind: (entry.payload["SourceClinicName"], entry.payload["TargetClinicName"])
            for entry in stored(database, OutboxEntry)
            if "SourceClinicName" in entry.payload
        }
        assert names == {
            self.PATIENT: ("your clinic", "another clinic"),
            self.CLINICIAN: ("your clinic", "another clinic"),
            self.ADMIN: ("another clinic", "your clinic"),
        }


class TestStatements:
    """Their number grows with batches, and never with patients, members, tags or sites."""

    @staticmethod
    def sent(api: Client, database: Database, size: int) -> int:
        with storing(database) as unit:
            source, target = make_clinic(unit), make_clinic(unit)
            for clinic in (source, target):
                tags = [make_tag(unit, clinic, f"Tag {number}") for number in range(min(size, 10))]
                for number in range(size):
                    # Half of the people are in both, and all patients are each other's conflicts.
                    shift = 1 + size if clinic is target and number % 2 else 0
                    person = Somebody(f"{number + shift:010x}", "Patient", f"{number + shift}@mail.example")
                    tag_patient(unit, make_patient(unit, clinic, person), *tags[:3])
                    if number < 20:
                        make_clinician(unit, clinic, person)
                    if number < 40:
                        unit.sites.add(clinic.id, f"Site {number}")
        pair = Pair(source.id, target.id)
        return number_of_statements(database, lambda: api.post(pair.path, as_=SERVICE, json=pair.body))

    def test_do_not_grow_within_a_batch(self, api: Client, database: Database) -> None:
        assert self.sent(api, database, 4) == self.sent(api, database, 90)

    def test_grow_with_batches(self, api: Client, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(repository, "PAGE", 20)
        monkeypatch.setattr(moving, "BATCH", 20)
        one, two, three = (self.sent(api, database, size) for size in (20, 40, 60))
        assert one < two
        # By the same number for each further batch.
        assert three - two == two - one
