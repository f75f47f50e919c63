"""Queries about grants that several groups ask."""

from __future__ import annotations

from sqlalchemy import select

from clinic_service.db.engine import Database
from clinic_service.models import Grant, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, PETE
from tests.support.rows import make_clinic, make_clinician, make_grant, make_patient, make_staffed_clinic, storing


def test_direct_values_survive_clinics(database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL, "view", "upload")
        unit.grants.put(CAROL.id, BOB.id, {"upload": {"sources": ["pump"]}, "follow": {}})
    with storing(database) as unit:
        held = unit.grants.effective(CAROL.id, BOB.id)
        assert held == {"upload": {"sources": ["pump"]}, "follow": {}, "view": {}}
        assert unit.grants.effective(BOB.id, BOB.id) == {"root": {}}
        assert unit.grants.effective(BOB.id, CAROL.id) == {}


def test_only_members_hold_permissions_through_a_clinic(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_patient(unit, clinic, CAROL)
    with storing(database) as unit:
        assert unit.grants.effective(CAROL.id, ALICE.id) == {"view": {}}
        assert unit.grants.effective(CAROL.id, BOB.id) == {"view": {}}
        assert unit.grants.effective(CAROL.id, PETE.id) == {}
        assert unit.grants.effective(CAROL.id, ERIN.id) == {}


def test_all_grants_of_a_user_go_in_both_directions(database: Database) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE)
        make_grant(unit, ERIN, CAROL)
        make_grant(unit, ERIN, DAVE)
    with storing(database) as unit:
        unit.grants.remove_all_of(CAROL.id)
    with storing(database) as unit:
        assert [(row.sharer_id, row.grantee_id) for row in unit.session.scalars(select(Grant))] == [(ERIN.id, DAVE.id)]
        events = unit.session.scalars(select(OutboxEntry).order_by(OutboxEntry.id))
        assert [(event.kind, event.clinic_id, event.payload) for event in events] == [
            ("access_changed", "", {"sharerId": CAROL.id, "granteeId": DAVE.id}),
            ("access_changed", "", {"sharerId": ERIN.id, "granteeId": CAROL.id}),
        ]
