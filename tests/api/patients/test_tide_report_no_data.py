"""TideReport: whose data is missed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.cast import BOB
from tests.support.client import Client
from tests.support.tide import CUTOFF, HOUR, MILLISECOND, NOW, YESTERDAY, Tide, cgm


@pytest.fixture
def tide(api: Client, database: Database) -> Tide:
    return Tide(api, database)


class TestNoData:
    def test_rule_who_never_had_data_comes_first_and_then_the_oldest(self, tide: Tide) -> None:
        day = timedelta(days=1)
        tide.read(newer=CUTOFF - day, none=None, oldest=CUTOFF - 2 * day, zero="0001-01-01T00:00:00Z")
        tide.add("no summary", tags=[tide.pump])
        tide.add("meter only", bgm=cgm({}, YESTERDAY), tags=[tide.pump])
        assert tide.without_data() == ["none", "zero", "no summary", "meter only", "oldest", "newer"]

    def test_rule_equal_times_come_by_creation(self, tide: Tide) -> None:
        tide.read(**dict.fromkeys(["d", "b", "c", "a"], CUTOFF - HOUR))
        assert tide.without_data() == ["d", "b", "c", "a"]

    def test_data_from_the_cutoff_on_is_data(self, tide: Tide) -> None:
        tide.read(before=CUTOFF - MILLISECOND, at=CUTOFF, after=CUTOFF + MILLISECOND)
        assert tide.without_data() == ["before"]

    def test_rule_data_of_the_last_eight_hours_is_data_whatever_the_cutoff(self, tide: Tide) -> None:
        tide.read(older=NOW - 8 * HOUR - MILLISECOND, exactly=NOW - 8 * HOUR, newer=NOW - 8 * HOUR + MILLISECOND)
        assert tide.without_data(lastDataCutoff=NOW) == ["older"]
        assert tide.without_data() == []

    @pytest.mark.parametrize("state", ["disconnected", "pending", "pendingReconnect", "error"])
    def test_rule_older_data_of_a_broken_dexcom_source_is_missed(self, tide: Tide, state: str) -> None:
        tide.read(older=NOW - 8 * HOUR - MILLISECOND, exactly=NOW - 8 * HOUR, never=None)
        for name in list(tide.names.values()):
            tide.connect(name, dexcom=state)
        assert tide.without_data() == ["never", "older"]

    def test_rule_only_dexcom_sources_that_are_not_connected_count(self, tide: Tide) -> None:
        tide.read(**dict.fromkeys(["connected", "others", "both", "reconnected", "none"], YESTERDAY))
        tide.connect("connected", dexcom="connected")
        tide.connect("others", abbott="error", twiist="disconnected")
        tide.connect("both", twiist="connected", dexcom="error")
        tide.connect("reconnected", dexcom="error")
        tide.connect("reconnected", dexcom="connected")
        assert tide.without_data() == ["both", "reconnected"]

    def test_rule_it_may_repeat_patients_of_the_categories(self, tide: Tide) -> None:
        tide.have(low={"timeInVeryLowPercent": 0.02})
        tide.connect("low", dexcom="error")
        results = tide.results()
        assert (results["timeInVeryLowPercent"], results["noData"]) == (["low"], ["low"])

    def test_it_does_not_depend_on_categories_and_periods(self, tide: Tide) -> None:
        tide.add("old", cgm=cgm({"timeInVeryLowPercent": 0.02}, CUTOFF - HOUR, "1d"), tags=[tide.pump])
        for period in ("1d", "30d"):
            assert tide.without_data(categories="meetingTargets", period=period) == ["old"]

    def test_who_lacks_a_tag_is_not_missed(self, tide: Tide) -> None:
        tide.add("untagged")
        tide.add("tagged", tags=[tide.pump])
        assert tide.without_data() == ["tagged"]

    def test_the_time_is_that_of_the_request(self, tide: Tide) -> None:
        """Not that of the data: the same data is old some time later."""
        tide.read(a=NOW - 7 * HOUR)
        assert tide.without_data(lastDataCutoff=NOW) == []
        query = f"period=14d&tags={tide.pump.id}&lastDataCutoff={clock.to_wire(NOW)}"
        with clock.frozen(NOW + 2 * HOUR):
            reply = tide.api.get(f"{tide.path}?{query}", as_=BOB)
        assert len(reply.json["results"]["noData"]) == 1
