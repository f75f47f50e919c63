"""Orphaned accounts: their removal, and repetitions of the event that reuse them."""

from __future__ import annotations

import pytest
from sqlalchemy import delete

from clinic_service.models import Clinic, Reservation
from tests.api.ehr.xealth_elsewhere.steps import assert_made_once, deliver_all, notify
from tests.support.client import Reply
from tests.support.errors import assert_error
from tests.support.failing import failing
from tests.support.http_server import Received, Response
from tests.support.platform import Platform
from tests.support.rows import stored, storing
from tests.support.xealth_site import XealthSite


class TestOrphanedAccount:
    """The removal of an orphaned account and a repetition that reuses it exclude each other."""

    def fail_once(self, site: XealthSite) -> None:
        with failing(site.database, "INSERT INTO xealth_orders"):
            assert_error(notify(site), 500)

    @pytest.mark.usefixtures("clinic_id")
    def test_a_repetition_before_the_removal(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        [user_id] = there.users
        assert notify(site).status == 200
        assert_made_once(site, there)
        deliver_all(site)
        assert_made_once(site, there)
        assert set(there.users) == {user_id}

    @pytest.mark.usefixtures("clinic_id")
    def test_a_repetition_after_the_removal(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        deliver_all(site)
        assert there.users == {}
        assert notify(site).status == 200
        assert_made_once(site, there)

    @pytest.mark.usefixtures("clinic_id")
    def test_a_removal_during_the_repetition_waits(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        [user_id] = there.users
        delivered: list[int] = []

        def answer(received: Received) -> None:
            # The place has been reserved by now.
            if received.path == f"/user/{user_id}" and received.method == "GET":
                delivered.append(site.deliver())

        there.on_bad_days = answer
        assert notify(site).status == 200
        assert delivered == [0]
        there.on_bad_days = lambda _: None
        deliver_all(site)
        assert_made_once(site, there)

    @pytest.mark.usefixtures("clinic_id")
    def test_a_repetition_during_the_removal_is_told_to_come_again(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        replies: list[Reply] = []

        def answer(received: Received) -> None:
            if received.method == "DELETE":
                there.on_bad_days = lambda _: None
                replies.append(notify(site))

        there.on_bad_days = answer
        assert site.deliver() == 1
        assert_error(replies[0], 503)
        assert there.users == {}
        assert notify(site).status == 200
        assert_made_once(site, there)

    def test_without_the_clinic_it_is_removed_all_the_same(
        self, site: XealthSite, there: Platform, clinic_id: str
    ) -> None:
        self.fail_once(site)
        with storing(site.database) as unit:
            unit.execute(delete(Clinic).where(Clinic.id == clinic_id))
        deliver_all(site)
        assert there.users == {}

    @pytest.mark.usefixtures("clinic_id")
    def test_a_removal_that_fails_is_tried_again(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        there.fail("DELETE", Response(500))
        assert site.deliver() == 0
        assert stored(site.database, Reservation) == []
        there.on_bad_days = lambda _: None
        deliver_all(site)
        assert there.users == {}
