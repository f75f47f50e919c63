"""UpdatePatientSummary: POST /v1/patients/{patientId}/summary"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import STATISTICS, OutboxEntry
from clinic_service.models.statistics import BGM, CGM, DELTA, FIELDS, PERIODS, TYPES, column_name, scope
from tests.api.summaries.steps import ID, NOW, STATS, TIMES, Clinics, full, shown, times, update
from tests.support.cast import CAROL, DAVE
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_patient, stored, storing
from tests.support.statements import counting
from tests.support.summaries import (
    bgm_stats,
    cgm_stats,
    dates,
    documents,
    figures,
    put_summaries,
    statistics,
    summary_rows,
)
from tests.support.units import everything


def copied(kind: str, period: dict[str, Any]) -> dict[str, Any]:
    """What a period's figures and flags are in columns."""
    names = {n for f in FIELDS if kind in f.types for n in (f.name, f.name + DELTA)}
    names |= {f.flag for f in FIELDS if kind in f.flagged}
    return {column_name(name): value for name, value in period.items() if name in names}


class TestWhatIsStored:
    def test_every_clinic_of_the_user_shows_exactly_what_was_sent(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        body = full(random, gaps=0.2)
        reply = update(api, body)
        assert (reply.status, reply.json) == (200, None)
        for clinic_id in clinics:
            assert shown(api, clinic_id) == body
        assert documents(database, CAROL) == {
            (clinic_id, kind): body[f"{kind}Stats"] for clinic_id in clinics for kind in TYPES
        }

    def test_other_patients_are_not_touched(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        with storing(database) as unit:
            put_summaries(unit, DAVE, **(own := full(random)))
            dave = unit.patients.get(clinics.first, DAVE.id).updated_time
        before = statistics(database, DAVE)
        update(api, full(random))
        update(api)
        assert shown(api, clinics.first, DAVE) == own
        assert statistics(database, DAVE) == before
        assert times(database, DAVE) == {clinics.first: dave}

    @pytest.mark.parametrize("gaps", [0.0, 0.5, 1.0])
    def test_every_figure_and_flag_of_the_four_periods_is_copied_into_its_column(
        self, api: Client, database: Database, clinics: Clinics, random: Random, gaps: float
    ) -> None:
        body = full(random, gaps=gaps)
        update(api, body)
        assert statistics(database, CAROL) == {
            (clinic_id, scope(kind, period)): copied(kind, body[f"{kind}Stats"]["periods"][period])
            for clinic_id in clinics
            for kind in TYPES
            for period in PERIODS
        }

    @pytest.mark.usefixtures("clinics")
    def test_full_statistics_fill_every_column(self, api: Client, database: Database, random: Random) -> None:
        update(api, full(random))
        found = statistics(database, CAROL)
        assert {len(row) for (_, name), row in found.items() if name.startswith(CGM)} == {74 + 31}
        assert {len(row) for (_, name), row in found.items() if name.startswith(BGM)} == {48 + 19}
        columns = set(STATISTICS.columns.keys()) - set(STATISTICS.primary_key.columns.keys())
        assert {name for row in found.values() for name in row} == columns

    def test_rule_periods_of_other_lengths_are_kept_and_shown_but_not_copied(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        body = {"cgmStats": cgm_stats(random, periods=("14d", "90d", "cgm", "")), "bgmStats": {"periods": {}}}
        update(api, body)
        assert shown(api, clinics.second) == body
        assert set(statistics(database, CAROL)) == {(clinic_id, "cgm14d") for clinic_id in clinics}

    def test_every_member_of_a_summary_is_optional(self, api: Client, database: Database, clinics: Clinics) -> None:
        body: dict[str, Any] = {"cgmStats": {}, "bgmStats": {}}
        assert update(api, body).status == 200
        assert shown(api, clinics.first) == body
        row = summary_rows(database, CAROL)[clinics.first, CGM]
        assert row.summary_id is None
        assert {row.has_first_data, row.has_last_data, row.has_last_upload_date, row.has_outdated_since} == {None}
        assert statistics(database, CAROL) == {}

    def test_members_that_the_spec_does_not_know_are_kept_and_mean_nothing(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        """A figure of the other type is such a member, and may be anything."""
        stats = bgm_stats(random, periods=("14d",), note={"by": ["lab", None]})
        stats["periods"]["14d"] |= {"hoursWithData": "many", "hasTimeCGMUsePercent": 7, "timeCGMUsePercent": 0.5}
        assert update(api, {"bgmStats": stats, "somethingElse": 1}).status == 200
        assert shown(api, clinics.first) == {"bgmStats": stats}
        row = statistics(database, CAROL)[clinics.first, "bgm14d"]
        assert not {"hours_with_data", "has_time_cgm_use_percent", "time_cgm_use_percent"} & set(row)

    def test_the_dates_are_copied_cut_to_milliseconds(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        given = {
            "lastUpdatedDate": "2026-03-01T10:00:00.123456Z",
            "hasFirstData": False,
            "firstData": "2025-03-01T10:00:00+02:00",
            "hasLastData": True,
            "lastData": "2026-02-28t23:30:00.9999999-01:00",
            "hasLastUploadDate": True,
            "lastUploadDate": "2026-03-01T09:00:00Z",
            "hasOutdatedSince": True,
            "outdatedSince": "2026-03-01T09:30:00z",
            "outdatedSinceLimit": "2026-03-02T00:00:00Z",
        }
        update(api, {"cgmStats": cgm_stats(random, id=ID, dates=given)})
        for clinic_id in clinics:
            row = summary_rows(database, CAROL)[clinic_id, CGM]
            assert row.summary_id == ID
            assert row.last_updated_date == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
            assert (row.has_first_data, row.first_data) == (False, datetime(2025, 3, 1, 8, tzinfo=UTC))
            assert (row.has_last_data, row.last_data) == (True, datetime(2026, 3, 1, 0, 30, 0, 999000, tzinfo=UTC))
            assert (row.has_last_upload_date, row.last_upload_date) == (True, datetime(2026, 3, 1, 9, tzinfo=UTC))
            assert (row.has_outdated_since, row.outdated_since) == (True, datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
        assert shown(api, clinics.first)["cgmStats"]["dates"] == given

    def test_rule_the_year_1_zero_time_counts_as_absent(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        zero = dict.fromkeys(TIMES, "0001-01-01T00:00:00Z")
        given = cgm_stats(random, dates=dates(random, **zero))
        update(api, {"cgmStats": given})
        row = summary_rows(database, CAROL)[clinics.first, CGM]
        assert (row.last_updated_date, row.first_data, row.last_data, row.last_upload_date) == (None,) * 4
        # What is shown is what was sent.
        assert shown(api, clinics.first) == {"cgmStats": given}

    def test_rule_a_flag_that_contradicts_its_value_is_stored_as_sent(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        period = figures(CGM, random)
        for field in FIELDS:
            if CGM in field.flagged:
                period[field.flag] = not period[field.flag]
        del period["averageGlucoseMmol"]
        period["hasAverageGlucoseMmol"] = True
        given = dates(random, hasLastData=False, hasOutdatedSince=True)
        update(api, {"cgmStats": cgm_stats(random, dates=given, periods=()) | {"periods": {"7d": period}}})
        assert statistics(database, CAROL)[clinics.first, "cgm7d"] == copied(CGM, period)
        row = summary_rows(database, CAROL)[clinics.first, CGM]
        assert (row.has_last_data, row.has_outdated_since, row.outdated_since) == (False, True, None)
        assert row.last_data is not None

    def test_numbers_of_any_size_are_kept(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        period = figures(CGM, random) | {"min": -1e308, "max": 5e-324, "totalRecords": 2**63 - 1, "daysWithData": -0.0}
        stats = {"periods": {"1d": period}}
        update(api, {"cgmStats": stats})
        assert shown(api, clinics.first) == {"cgmStats": stats}
        row = statistics(database, CAROL)[clinics.first, "cgm1d"]
        assert (row["min"], row["max"], row["total_records"], row["days_with_data"]) == (-1e308, 5e-324, 2.0**63, 0.0)

    def test_rule_a_summary_without_an_id_is_stored_without_one(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        """It used to be dropped, and acknowledged all the same."""
        body = {"cgmStats": cgm_stats(random, id=None), "bgmStats": bgm_stats(random, id="")}
        assert update(api, body).status == 200
        assert shown(api, clinics.first) == body
        assert {row.summary_id for row in summary_rows(database, CAROL).values()} == {None}


class TestWhatIsReplaced:
    @pytest.fixture
    def before(self, database: Database, clinics: Clinics, random: Random) -> dict[str, Any]:  # noqa: ARG002
        """The full summaries of both types that Carol has."""
        body = full(random)
        with storing(database) as unit:
            put_summaries(unit, CAROL, **body)
        with storing(database) as unit:
            for patient in unit.patients.all_of_user(CAROL.id):
                patient.updated_time = LONG_AGO
        return body

    def test_rule_a_type_that_is_given_replaces_that_type_wholly(
        self, api: Client, database: Database, clinics: Clinics, before: dict[str, Any], random: Random
    ) -> None:
        after = {"periods": {"7d": figures(CGM, random, gaps=1.0)}}
        assert update(api, {"cgmStats": after}).status == 200
        for clinic_id in clinics:
            assert shown(api, clinic_id) == {"cgmStats": after, "bgmStats": before["bgmStats"]}
        found = statistics(database, CAROL)
        assert {name for _, name in found} == {"cgm7d", *(scope(BGM, period) for period in PERIODS)}
        assert found[clinics.second, "cgm7d"] == copied(CGM, after["periods"]["7d"])
        row = summary_rows(database, CAROL)[clinics.second, CGM]
        assert (row.summary_id, row.has_last_data, row.last_data, row.last_updated_date) == (None,) * 4

    @pytest.mark.parametrize("kind", TYPES)
    def test_rule_a_type_that_is_absent_stays(
        self, api: Client, database: Database, clinics: Clinics, before: dict[str, Any], random: Random, kind: str
    ) -> None:
        rows = statistics(database, CAROL)
        update(api, {f"{kind}Stats": STATS[kind](random)})
        other = BGM if kind == CGM else CGM
        assert shown(api, clinics.second)[f"{other}Stats"] == before[f"{other}Stats"]
        after = statistics(database, CAROL)
        assert after.keys() == rows.keys()
        assert {key for key in rows if rows[key] == after[key]} == {key for key in rows if key[1].startswith(other)}

    def test_rule_an_empty_object_moves_nothing_but_the_time(
        self, api: Client, database: Database, clinics: Clinics, before: dict[str, Any]
    ) -> None:
        rows = statistics(database, CAROL)
        assert update(api, {}).status == 200
        assert shown(api, clinics.first) == before
        assert statistics(database, CAROL) == rows
        assert times(database) == dict.fromkeys(clinics, NOW)

    @pytest.mark.usefixtures("before")
    def test_rule_an_absent_body_removes_both_types(self, api: Client, database: Database, clinics: Clinics) -> None:
        assert update(api).status == 200
        for clinic_id in clinics:
            assert shown(api, clinic_id) is None
        assert (documents(database, CAROL), summary_rows(database, CAROL), statistics(database, CAROL)) == ({}, {}, {})
        assert times(database) == dict.fromkeys(clinics, NOW)

    def test_clinics_that_had_no_summary_get_it(
        self, api: Client, database: Database, clinics: Clinics, before: dict[str, Any]
    ) -> None:
        with storing(database) as unit:
            third = make_clinic(unit)
            make_patient(unit, third, CAROL)
        update(api, before)
        assert shown(api, third.id) == before
        # The others had it, so they have not changed.
        assert times(database) == {**dict.fromkeys(clinics, LONG_AGO), third.id: NOW}


class TestTimesAndEvents:
    @staticmethod
    def told(database: Database) -> list[tuple[str | None, Any, Any, Any]]:
        return [
            (row.clinic_id, row.payload["userId"], row.payload["changed"], row.payload["custodial"])
            for row in stored(database, OutboxEntry)
            if row.kind == "patient_changed"
        ]

    def test_each_record_that_changed_moves_on_and_is_told(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        update(api, full(random))
        assert times(database) == dict.fromkeys(clinics, NOW)
        assert times(database, DAVE) == {clinics.first: LONG_AGO}
        expected = [(clinics.first, CAROL.id, ["summary"], True), (clinics.second, CAROL.id, ["summary"], False)]
        assert sorted(self.told(database)) == sorted(expected)

    def test_rule_an_update_that_changes_nothing_writes_nothing(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        body = full(random)
        update(api, body)
        before = everything(database)
        with clock.frozen(NOW + timedelta(days=1)), counting(database) as statements:
            assert update(api, body).status == 200
        assert everything(database) == before
        assert [sql.split()[0] for sql in statements] == ["SELECT"] * 4
        assert times(database) == dict.fromkeys(clinics, NOW)

    @pytest.mark.usefixtures("clinics")
    def test_removing_what_is_not_there_changes_nothing(self, api: Client, database: Database) -> None:
        before = everything(database)
        assert update(api).status == 200
        assert everything(database) == before

    @pytest.mark.usefixtures("clinics")
    def test_an_unchanged_type_is_not_written_along_with_the_other(
        self, api: Client, database: Database, random: Random
    ) -> None:
        body = full(random)
        update(api, body)
        # So that writing it again would be noticed.
        with storing(database) as unit:
            unit.execute(STATISTICS.update().where(STATISTICS.c.scope == "cgm1d").values(min=-1))
        update(api, body | {"bgmStats": bgm_stats(random)})
        found = statistics(database, CAROL)
        assert {row["min"] for (_, name), row in found.items() if name == "cgm1d"} == {-1}

    def test_the_time_of_a_record_always_grows(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        ahead = NOW + timedelta(days=3)
        with storing(database) as unit:
            unit.patients.get(clinics.first, CAROL.id).updated_time = ahead
        update(api, full(random))
        assert times(database) == {clinics.first: ahead + timedelta(milliseconds=1), clinics.second: NOW}
        update(api, {})
        later = {clinics.first: ahead + timedelta(milliseconds=2), clinics.second: NOW + timedelta(milliseconds=1)}
        assert times(database) == later

    def test_an_empty_object_tells_nothing(self, api: Client, database: Database, clinics: Clinics) -> None:
        update(api, {})
        assert times(database) == dict.fromkeys(clinics, NOW)
        assert self.told(database) == []
