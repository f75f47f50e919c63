"""The statements fit a database that is distributed by clinic (`db/placement.py`)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Delete,
    ForeignKey,
    Index,
    Insert,
    MetaData,
    Select,
    String,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import aliased

from clinic_service.db.base import NAMING_CONVENTION, placed
from clinic_service.db.dialects import among
from clinic_service.db.locks import locking
from clinic_service.db.placement import BY_CLINIC, CLINICS, LOCAL, Kind
from clinic_service.models import Base, Clinic, Clinician, Invite, Patient, PatientCount, Tag
from tests.support.distribution import Bound, parts, placement_of, refused_keys, statements

# The limit of a person counts in all clinics.
_KNOWN = {"outbox.mail_limits.MailLimits._RECENT"}


def of_one_clinic_in_some_parts(statement: Any) -> bool:
    """Whether some parts of the statement name one clinic, and others do not."""
    bounds = {part.bound for part in parts(statement) if part.group == "clinic"}
    return Bound.ONE in bounds and bounds != {Bound.ONE}


def of_all_users(statement: Any) -> bool:
    """Whether the statement reads a table of users for more than one user."""
    return any(part.group == "user" and part.bound is not Bound.ONE for part in parts(statement))


def locks_several_clinics(statement: Any) -> bool:
    """Whether the statement locks rows that are not of one clinic by its own condition."""
    return any(part.locks and part.bound is not Bound.ONE for part in parts(statement))


def test_every_table_has_a_placement() -> None:
    assert [table.name for table in Base.metadata.sorted_tables if "placement" not in table.info] == []


def test_keys_are_ones_that_citus_accepts() -> None:
    """Unique keys and references within a clinic contain the clinic."""
    assert [key for table in Base.metadata.sorted_tables for key in refused_keys(table)] == []


def test_every_lock_is_of_one_clinic() -> None:
    assert [name for name, statement in statements() if locks_several_clinics(statement)] == []


def test_statements_of_one_clinic_name_it_in_every_part() -> None:
    """A part that is only joined to a row of the enclosing query is asked of all machines."""
    found = {name for name, statement in statements() if of_one_clinic_in_some_parts(statement)}
    assert found - _KNOWN == set()


def test_statements_by_user_name_the_user() -> None:
    """The exceptions compare whole tables."""
    found = {name for name, statement in statements() if of_all_users(statement)}
    assert {name for name in found if not name.startswith("resources.users.reconcile.")} == set()


# What asks the clinics of all machines, and so costs more with every machine: what it is for. Operators' commands, the
# relay and retention, which do so in the background, are left out.
_ASKS_ALL = {
    "resources.ehr.overview.EhrOverview._CLINICS": "an operator lists the clinics with health record systems",
    "resources.ehr.redox.cadence._CLINICS": "a round of scheduled reports",
    "resources.ehr.redox.cadence._STORED": "a round of scheduled reports",
    "resources.ehr.repository.EhrRepository._CLINICS": "a message of a partner names its source alone",
    "resources.ehr.repository.EhrRepository._ENABLED_CLINICS": "a part of the one before",
    "resources.invites.repository._SHOWN": "a part of statements that name the clinic",
    "resources.merges.repository.MergeRepository._SUCCESSOR": "an event of a clinic that is gone",
    "resources.settings.repository.SettingsRepository._SAME_SOURCE": "settings name a source that no other clinic may have",
    "resources.summaries.repository.SummaryRepository._CLINICS_OF_SUMMARY": "a summary is removed by its id alone",
}
_IN_THE_BACKGROUND = (
    *("audit.", "demo.", "outbox.", "personal_data.", "retention.", "stored_answers.", "resources.ehr.retention."),
    *("resources.summaries.reconcile.", "resources.users.reconcile."),
)


def test_only_these_statements_ask_all_machines() -> None:
    found = {name for name, statement in statements() if {part.bound for part in parts(statement)} == {Bound.ALL}}
    assert {name for name in found if not name.startswith(_IN_THE_BACKGROUND)} == _ASKS_ALL.keys()


# A write to a table that every machine has needs all machines, and locks the table on all of them until the commit.
_WRITES_EVERYWHERE = {
    "clinics_of_users.ClinicsOfUsers._ADD_PENDING": "an invitation",
    "clinics_of_users.ClinicsOfUsers._REMOVE_PENDING": "the end of an invitation",
    "gateways.accounts.embedded._ADD_DELETION": "the removal of an account",
    "gateways.accounts.embedded._REMOVE_DELETION": "a removed account that is made again",
    "resources.clinics.repository.ClinicRepository._ADD_SHARE_CODE": "a new clinic",
    "resources.clinics.repository.ClinicRepository._CANCEL_INVITES": "the removal of a clinic",
    "resources.clinics.repository.ClinicRepository._REMOVE_SHARE_CODES": "the removal of a clinic",
    "resources.ehr.redox.outcomes.OrderOutcomes._ADD": "a message of Redox",
    "resources.ehr.redox.outcomes.OrderOutcomes._END": "a message of Redox",
    "resources.ehr.repository.EhrRepository._ADD_MESSAGE": "a message of Redox",
    "resources.invites.repository.InviteRepository._CLOSE_EXPIRED": "an invitation",
    "resources.invites.repository.InviteRepository._COMPLETE": "the end of an invitation",
    "resources.invites.repository.InviteRepository._END": "the end of an invitation",
    "resources.invites.repository.InviteRepository._LINK": "the first list that shows an invitation to its user",
    "resources.merges.belongings.Belongings._CANCEL_INVITES": "a merge",
    "resources.merges.belongings.Belongings._CLOSE_EXPIRED": "a merge",
    "resources.merges.belongings.Belongings._MOVE_OFFERS": "a merge",
    "resources.merges.belongings.Belongings._MOVE_SHARE_CODES": "a merge",
    "resources.users.repository.UserRepository._REMOVE_INVITES": "the removal of a user",
    "resources.users.repository.UserRepository._SET_EMAIL": "another address of a user",
}


def test_only_these_statements_write_on_all_machines() -> None:
    found = {
        name
        for name, statement in statements()
        if isinstance(statement, Insert | Update | Delete)
        and (placement := placement_of(statement.table)) is not None
        and placement.kind is Kind.REFERENCE
    }
    assert {name for name in found if not name.startswith(_IN_THE_BACKGROUND)} == _WRITES_EVERYWHERE.keys()


_THIS = Clinic.id == bindparam("clinic_id")
_OTHER = aliased(Clinician)
_WHOLE: list[Select[Any]] = [
    select(Clinic.id).where(_THIS),
    select(Clinic.id).join(Clinician, Clinician.clinic_id == Clinic.id).where(_THIS),
    select(Clinic.id)
    .outerjoin(PatientCount, PatientCount.clinic_id == Clinic.id)
    .where(and_(_THIS, Clinic.is_migrated)),
    select(Clinic.name).join(Invite, Invite.clinic_id == Clinic.id).where(Invite.clinic_id == bindparam("clinic_id")),
    select(Clinic.id).where(_THIS, exists().where(Clinician.clinic_id == bindparam("clinic_id"), Clinician.is_admin)),
]
_HALF: list[Any] = [
    select(Clinic.id).where(_THIS, exists().where(Clinician.clinic_id == Clinic.id, Clinician.is_admin)),
    select(select(func.count(Patient.id)).where(Patient.clinic_id == Clinic.id).scalar_subquery()).where(_THIS),
    select(Clinic.id).where(_THIS, Clinic.id.in_(select(Patient.clinic_id))),
    union_all(select(Clinic.id).where(_THIS), select(Tag.clinic_id)),
    update(Patient)
    .where(Patient.clinic_id == bindparam("of_clinic"), exists().where(Tag.clinic_id == Patient.clinic_id))
    .values(is_migrated=True),
    delete(Patient).where(Patient.clinic_id == bindparam("of_clinic"), Patient.id.in_(select(Tag.id))),
    select(Clinician.id).where(
        Clinician.clinic_id == bindparam("clinic_id"), exists().where(_OTHER.clinic_id == Clinician.clinic_id)
    ),
]


class TestTheRules:
    """That the tests above find what they look for."""

    def test_keys_without_the_clinic_are_found(self) -> None:
        metadata = MetaData(naming_convention=NAMING_CONVENTION)
        clinics = Table("clinics", metadata, Column("id", String, primary_key=True), info=placed(CLINICS))
        of_all = Table("of_all", metadata, Column("id", String, primary_key=True), info=placed(LOCAL))
        rooms = Table(
            "rooms",
            metadata,
            Column("clinic_id", String, ForeignKey(clinics.c.id), primary_key=True),
            Column("id", String, ForeignKey(of_all.c.id), primary_key=True),
            Column("number", String, unique=True),
            Index("ix_rooms_number", "number", unique=True),
            info=placed(BY_CLINIC),
        )
        assert sorted(refused_keys(rooms)) == ["fk_rooms_id", "ix_rooms_number", "uq_rooms_number"]
        assert list(refused_keys(clinics)) == []

    @pytest.mark.parametrize("statement", _WHOLE, ids=str)
    def test_statements_that_name_the_clinic_are_told_apart(self, statement: Any) -> None:
        assert {part.bound for part in parts(statement)} == {Bound.ONE}

    @pytest.mark.parametrize("statement", _HALF, ids=str)
    def test_statements_that_do_not_everywhere_are_found(self, statement: Any) -> None:
        assert of_one_clinic_in_some_parts(statement)

    def test_lists_of_clinics_are_several(self) -> None:
        of_list = [
            select(Clinic.id).where(among(Clinic.id, "clinic_ids")),
            select(Clinic.id).where(Clinic.id.in_(bindparam("clinic_ids", expanding=True))),
        ]
        assert [part.bound for one in of_list for part in parts(one)] == [Bound.SEVERAL] * 2

    def test_locks_are_told_apart(self) -> None:
        assert not locks_several_clinics(locking(select(Patient.id), Patient))
        assert not locks_several_clinics(select(Patient.id))
        assert locks_several_clinics(select(Patient.id).where(Patient.user_id == bindparam("u")).with_for_update())
        assert locks_several_clinics(select(Patient.id).where(among(Patient.clinic_id, "ids")).with_for_update())

    def test_statements_are_found_where_they_are(self) -> None:
        names = {name for name, _ in statements()}
        assert {
            "audit.repository.AuditRepository._SEAL",
            "resources.clinics.repository.ClinicRepository._LOCK",
            "resources.tags.repository._STATEMENTS.describe",
            "resources.patients.descriptions._LINKS[1]",
        } <= names
