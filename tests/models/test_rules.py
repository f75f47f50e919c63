"""The rules that need nothing but a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clinic_service.models import Clinician, Invite, InviteStatus, Patient, Permission, Review, Role

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def test_roles_stand_in_a_fixed_order() -> None:
    clinician = Clinician(roles=["PRESCRIBER", "CLINIC_ADMIN"])
    assert clinician.roles == [Role.ADMIN, Role.PRESCRIBER]


def test_setting_roles_takes_the_others_away() -> None:
    clinician = Clinician(roles=["CLINIC_ADMIN", "PRESCRIBER"])
    clinician.roles = [Role.MEMBER]
    assert (clinician.is_admin, clinician.is_member, clinician.is_prescriber) == (False, True, False)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="OWNER"):
        Clinician(roles=["OWNER"])


@pytest.mark.parametrize(("user_id", "pending"), [(None, True), ("a11ce00001", False)])
def test_a_clinician_without_a_user_is_pending(user_id: str | None, pending: bool) -> None:
    assert Clinician(user_id=user_id).is_pending is pending


def test_permissions_never_given_differ_from_none_granted() -> None:
    assert Patient(permissions=None).permissions is None
    assert Patient(permissions={}).permissions == {}


def test_permissions_stand_in_a_fixed_order() -> None:
    patient = Patient(permissions={"note": {}, "custodian": {}})
    assert list((patient.permissions or {}).items()) == [(Permission.CUSTODIAN, {}), (Permission.NOTE, {})]


def test_setting_permissions_takes_the_others_away() -> None:
    patient = Patient(permissions={"custodian": {}, "view": {}})
    patient.permissions = ["upload"]
    assert patient.permissions == {Permission.UPLOAD: {}}


def test_an_unknown_permission_is_refused() -> None:
    with pytest.raises(ValueError, match="root"):
        Patient(permissions={"root": {}})


@pytest.mark.parametrize(("names", "custodial"), [(["custodian", "view"], True), (["view"], False), (None, False)])
def test_a_patient_is_custodial_by_permission(names: list[str] | None, custodial: bool) -> None:
    assert Patient(permissions=names).is_custodial is custodial


@pytest.mark.parametrize("count", [0, 1, 2])
def test_reviews_come_back_newest_first(count: int) -> None:
    reviews = [Review("later", NOW), Review("earlier", NOW - timedelta(days=1))][:count]
    assert Patient(reviews=reviews).reviews == reviews


def test_at_most_two_reviews_are_kept() -> None:
    reviews = [Review(str(days), NOW - timedelta(days=days)) for days in range(3)]
    assert Patient(reviews=reviews).reviews == reviews[:2]


def test_reviews_can_be_taken_back() -> None:
    patient = Patient(reviews=[Review("a", NOW)])
    patient.reviews = []
    assert patient.reviews == []


@pytest.mark.parametrize(
    ("status", "expires_at", "is_open"),
    [
        (InviteStatus.PENDING, None, True),
        (InviteStatus.PENDING, NOW + timedelta(milliseconds=1), True),
        (InviteStatus.PENDING, NOW, False),
        (InviteStatus.DECLINED, None, False),
    ],
)
def test_an_invitation_is_open_until_it_is_answered_or_expires(
    status: InviteStatus, expires_at: datetime | None, is_open: bool
) -> None:
    assert Invite(status=status, expires_at=expires_at).is_open(NOW) is is_open
