"""Updates that arrive late: an older summary does not replace a newer one."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models.statistics import BGM
from tests.api.summaries.steps import ID, NOW, OTHER_ID, Clinics, shown, summary_at, times, update
from tests.support.cast import CAROL
from tests.support.client import Client
from tests.support.rows import make_clinic, make_patient, storing
from tests.support.summaries import cgm_stats, dates
from tests.support.units import everything


class TestLateUpdates:
    """Rule: a message about the stored summary that is older than it is acknowledged and dropped."""

    @pytest.mark.usefixtures("clinics")
    def test_an_older_one_is_dropped(self, api: Client, database: Database, random: Random) -> None:
        update(api, {"cgmStats": summary_at(random, 1)})
        before = everything(database)
        with clock.frozen(NOW + timedelta(days=1)):
            assert update(api, {"cgmStats": summary_at(random, 1 + 1e-6)}).status == 200
            assert update(api, {"cgmStats": summary_at(random, 100)}).status == 200
        assert everything(database) == before

    @pytest.mark.parametrize(
        ("stored_as", "given"),
        [
            ((1, ID), (1, ID)),
            ((1, ID), (0.5, ID)),
            ((1, ID), (2, OTHER_ID)),
            ((1, ID), (2, None)),
            ((1, ID), (None, ID)),
            ((None, ID), (2, ID)),
            ((1, None), (2, None)),
            ((1, ""), (2, "")),
        ],
        ids=[
            "same time",
            "newer",
            "older, another summary",
            "older, without id",
            "without time",
            "with time, over one without",
            "older, both without id",
            "older, both with an empty id",
        ],
    )
    def test_any_other_is_stored(
        self,
        api: Client,
        clinics: Clinics,
        random: Random,
        stored_as: tuple[float | None, str | None],
        given: tuple[float | None, str | None],
    ) -> None:
        update(api, {"cgmStats": summary_at(random, *stored_as)})
        after = summary_at(random, *given)
        assert update(api, {"cgmStats": after}).status == 200
        for clinic_id in clinics:
            assert shown(api, clinic_id) == {"cgmStats": after}

    def test_a_time_of_year_1_does_not_make_it_older(self, api: Client, clinics: Clinics, random: Random) -> None:
        update(api, {"cgmStats": summary_at(random, 1)})
        after = cgm_stats(random, id=ID, dates=dates(random, lastUpdatedDate="0001-01-01T00:00:00Z"))
        update(api, {"cgmStats": after})
        assert shown(api, clinics.first) == {"cgmStats": after}

    def test_it_is_decided_for_each_clinic(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        newer, older = summary_at(random, 1), summary_at(random, 2)
        update(api, {"cgmStats": newer})
        with storing(database) as unit:
            third = make_clinic(unit)
            make_patient(unit, third, CAROL)
        with clock.frozen(NOW + timedelta(days=1)):
            update(api, {"cgmStats": older})
        assert [shown(api, clinic_id)["cgmStats"] for clinic_id in (*clinics, third.id)] == [newer, newer, older]
        assert times(database) == {**dict.fromkeys(clinics, NOW), third.id: NOW + timedelta(days=1)}

    def test_it_is_decided_for_each_type(self, api: Client, clinics: Clinics, random: Random) -> None:
        before = {"cgmStats": summary_at(random, 1), "bgmStats": summary_at(random, 1, kind=BGM)}
        after = {"cgmStats": summary_at(random, 2), "bgmStats": summary_at(random, 0.5, kind=BGM)}
        update(api, before)
        update(api, after)
        assert shown(api, clinics.first) == {"cgmStats": before["cgmStats"], "bgmStats": after["bgmStats"]}

    def test_it_is_decided_by_the_millisecond(self, api: Client, clinics: Clinics, random: Random) -> None:
        """What is below is not kept, so the messages are of one age, and the one that came last stands."""
        both = [
            cgm_stats(random, id=ID, dates=dates(random, lastUpdatedDate=f"2026-03-01T10:00:00.123{part}Z"))
            for part in ("9", "1")
        ]
        for stats in both:
            update(api, {"cgmStats": stats})
        assert shown(api, clinics.first) == {"cgmStats": both[1]}
