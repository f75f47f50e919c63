"""XealthNotification, and the process ends in the middle of it: there is an account with a patient, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import EhrSubscription, Patient, XealthOrder
from tests.support.databases import clear
from tests.support.killing import killed_at
from tests.support.rows import stored, storing
from tests.support.xealth_site import (
    DEPLOYMENT,
    EMAIL,
    NOW,
    ORDER_ID,
    XealthSite,
    event,
    make_xealth_clinic,
    order,
    with_input,
    xealth_site,
)

LATER = NOW + timedelta(minutes=10)


@pytest.fixture(scope="module")
def shared_site(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database, hosted=True) as made:
        yield made


def start_anew(site: XealthSite) -> None:
    """A clinic that knows the form of the order, and nobody else."""
    site.reset()
    clear(site.database)
    site.xealth.orders[DEPLOYMENT, ORDER_ID] = order()
    with storing(site.database) as unit:
        make_xealth_clinic(unit, mrn_unique=True)
    assert site.preorder(with_input({"patient": {"email": EMAIL, "connectAbbott": True}})).json == {}


def patients(site: XealthSite) -> set[str]:
    return {patient.user_id for patient in stored(site.database, Patient)}


def deliver_all(site: XealthSite) -> None:
    with clock.frozen(LATER):
        while site.deliver():
            pass


def assert_made_once(site: XealthSite) -> None:
    assert site.platform
    assert len(patients(site)) == 1
    assert set(site.platform.users) == patients(site)
    assert [row.active for row in stored(site.database, EhrSubscription)] == [True]
    assert len(stored(site.database, XealthOrder)) == 1


@pytest.mark.parametrize("tidies_up", [True, False], ids=["repeated later", "repeated at once"])
def test_whenever_it_ends_a_repetition_ends_well(site: XealthSite, tidies_up: bool) -> None:
    assert site.platform
    outcomes: list[int] = []
    for last in count(1):
        start_anew(site)
        with killed_at(site.database, last) as steps:
            site.notify(event())
        if tidies_up:
            deliver_all(site)
            assert set(site.platform.users) == patients(site), last
        outcomes.append(len(patients(site)))
        with clock.frozen(LATER if tidies_up else NOW):
            assert site.notify(event()).status == 200, last
        assert_made_once(site)
        deliver_all(site)
        assert_made_once(site)
        if not steps.reached:
            break
    # It is not stored at first, and from some step on it is.
    assert len(outcomes) > 25
    assert outcomes == sorted(outcomes)
    assert outcomes.count(0) > 20
