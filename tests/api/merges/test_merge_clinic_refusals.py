"""Merges that are blocked, and requests that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Invite
from clinic_service.unit_of_work import UnitOfWork
from tests.api.merges.steps import clinics_of, merge
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_violations
from tests.support.invites import make_pending
from tests.support.merges import FRANK, Pair
from tests.support.rows import make_clinician, make_patient, make_restriction, make_tag, stored, storing
from tests.support.units import everything

UNKNOWN = "0" * 24


def _different_units(_unit: UnitOfWork, source: Clinic, _target: Clinic) -> None:
    source.preferred_bg_units = "mmol/L"  # type: ignore[assignment]


def _unset_units(_unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    source.preferred_bg_units, target.preferred_bg_units = None, "mmol/L"  # type: ignore[assignment]


def _another_zone(_unit: UnitOfWork, source: Clinic, _target: Clinic) -> None:
    source.timezone = "Europe/Oslo"


def _required_there(_unit: UnitOfWork, _source: Clinic, target: Clinic) -> None:
    target.mrn_required, target.mrn_unique = True, False


def _more_restrictions(unit: UnitOfWork, source: Clinic, _target: Clinic) -> None:
    make_restriction(unit, source, "harbour.example")


def _restricted_target(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    make_restriction(unit, target, "harbour.example")
    make_clinician(unit, source, ALICE)


def _pending_invitation(unit: UnitOfWork, source: Clinic, _target: Clinic) -> None:
    make_pending(unit, source, ERIN)


def _number_missing(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    source.mrn_required = target.mrn_required = True
    make_patient(unit, source, CAROL)


def _number_of_the_target(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    source.mrn_unique = target.mrn_unique = True
    make_patient(unit, source, CAROL, mrn="a-1", mrn_key="a-1")
    make_patient(unit, target, DAVE, mrn="A-1", mrn_key="a-1")


def _number_of_the_source(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    source.mrn_unique = target.mrn_unique = True
    for person in (CAROL, DAVE):
        make_patient(unit, source, person, mrn="A-1", mrn_key="a-1")
    make_patient(unit, target, FRANK, mrn="A-1", mrn_key="a-1")


def _too_many_tags(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    for number in range(26):
        make_tag(unit, source, f"Hill {number}")
        make_tag(unit, target, f"Shore {number}")


class TestBlocked:
    @pytest.mark.parametrize(
        ("prepare", "code"),
        [
            (_different_units, "SETTINGS_MISMATCH"),
            (_unset_units, "SETTINGS_MISMATCH"),
            (_another_zone, "SETTINGS_MISMATCH"),
            (_required_there, "SETTINGS_MISMATCH"),
            (_more_restrictions, "SETTINGS_MISMATCH"),
            (_restricted_target, "RESTRICTED_TARGET_MEMBERS"),
            (_pending_invitation, "PENDING_INVITES"),
            (_number_missing, "MRN_REQUIRED"),
            (_number_of_the_target, "DUPLICATE_MRN_TARGET"),
            (_number_of_the_source, "DUPLICATE_MRN_SOURCE"),
            (_too_many_tags, "TOO_MANY_TAGS"),
        ],
    )
    def test_changes_nothing_and_tells_why(
        self,
        api: Client,
        database: Database,
        pair: Pair,
        prepare: Callable[[UnitOfWork, Clinic, Clinic], None],
        code: str,
    ) -> None:
        with storing(database) as unit:
            prepare(unit, *clinics_of(unit, pair))
        before = everything(database)
        reply = api.post(pair.path, as_=SERVICE, json=pair.body)
        assert_violations(reply, ("/body/sourceId", "state"))
        assert reply.json["errors"][0]["expected"] == code
        assert reply.json["message"].startswith("The clinics cannot be merged. ")
        assert everything(database) == before

    def test_all_reasons_are_told(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            source.timezone, source.mrn_unique = "Europe/Oslo", True
            _number_missing(unit, source, target)
            _pending_invitation(unit, source, target)
        reply = api.post(pair.path, as_=SERVICE, json=pair.body)
        codes = [error["expected"] for error in reply.json["errors"]]
        assert codes == ["SETTINGS_MISMATCH", "PENDING_INVITES", "MRN_REQUIRED"]
        for word in ("time zones", "unique", "pending invitations", "has none"):
            assert word in reply.json["message"]

    def test_units_that_were_never_set_are_mg_dl(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            source, _ = clinics_of(unit, pair)
            source.preferred_bg_units = None
        merge(api, pair)

    def test_settings_of_numbers_that_were_never_stored_ask_for_nothing(
        self, api: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            source, _ = clinics_of(unit, pair)
            source.mrn_required = source.mrn_unique = False
        merge(api, pair)

    def test_pending_invitations_of_the_target_do_not_matter(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            _, target = clinics_of(unit, pair)
            make_pending(unit, target, ERIN)
        merge(api, pair)
        assert [invite.status for invite in stored(database, Invite)] == ["pending"]


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{}, {"sourceId": None}, {"sourceId": "harbour"}, {"sourceId": "A" * 24}, [], "x"])
def test_malformed_bodies_are_refused(api: Client, pair: Pair, body: Any) -> None:
    assert api.post(pair.path, as_=SERVICE, json=body).status == 400


@pytest.mark.one_engine
def test_a_body_is_needed(api: Client, pair: Pair) -> None:
    assert api.post(pair.path, as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_malformed_paths_are_refused(api: Client, pair: Pair) -> None:
    assert api.post("/v1/clinics/harbour/merge", as_=SERVICE, json=pair.body).status == 400


@pytest.mark.one_engine
@pytest.mark.parametrize("known", [True, False])
def test_a_clinic_cannot_be_merged_into_itself(api: Client, database: Database, pair: Pair, known: bool) -> None:
    """Rule: this comes before anything else, also before the clinic is looked for."""
    clinic_id = pair.target if known else UNKNOWN
    before = everything(database)
    reply = api.post(f"/v1/clinics/{clinic_id}/merge", as_=SERVICE, json={"sourceId": clinic_id})
    assert_violations(reply, ("/body/sourceId", "state"))
    assert reply.json["message"] == "A clinic cannot be merged into itself."
    assert everything(database) == before


@pytest.mark.one_engine
def test_needs_a_token(api: Client, pair: Pair) -> None:
    assert api.post(pair.path, json=pair.body).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, CAROL, MALLORY])
def test_is_for_services(api: Client, database: Database, pair: Pair, caller: Somebody) -> None:
    """Not even an administrator of both clinics may merge them."""
    with storing(database) as unit:
        for clinic in clinics_of(unit, pair):
            make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
            make_clinician(unit, clinic, BOB)
            make_patient(unit, clinic, CAROL)
    assert api.post(pair.path, as_=caller, json=pair.body).status == 403
    assert api.post("/v1/clinics/harbour/merge", as_=caller, json={}).status == 403
    assert len(stored(database, Clinic)) == 2


def test_unknown_clinics_are_not_found_the_source_first(api: Client, pair: Pair) -> None:
    def message(path: str, source_id: str) -> str:
        reply = api.post(f"/v1/clinics/{path}/merge", as_=SERVICE, json={"sourceId": source_id})
        assert reply.status == 404
        return str(reply.json["message"])

    assert message(pair.target, UNKNOWN) == "The source clinic was not found."
    assert message("1" * 24, UNKNOWN) == "The source clinic was not found."
    assert message(UNKNOWN, pair.source) == "The target clinic was not found."
