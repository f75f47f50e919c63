"""UpdatePatientSummary: POST /v1/patients/{patientId}/summary"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import STATISTICS, OutboxEntry, Patient
from clinic_service.models.statistics import BGM, CGM, DELTA, FIELDS, PERIODS, TYPES, column_name, scope
from clinic_service.resources.summaries import service
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, BOB, CAROL, DAVE, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_patient, make_staffed_clinic, stored, storing
from tests.support.statements import counting
from tests.support.summaries import (
    NEWEST,
    bgm_stats,
    cgm_stats,
    dates,
    documents,
    figures,
    put_summaries,
    statistics,
    summary_rows,
)
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CANARY = "kanarie4711"
ID, OTHER_ID = "5f0c7d1e9a3b4c6d8e2f1a0e", "5f0c7d1e9a3b4c6d8e2f1a0f"
STATS = {CGM: cgm_stats, BGM: bgm_stats}
TIMES = ("lastUpdatedDate", "firstData", "lastData", "lastUploadDate", "outdatedSince", "outdatedSinceLimit")


class Clinics(NamedTuple):
    first: str
    second: str


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def random() -> Random:
    return Random(20417)


@pytest.fixture
def clinics(database: Database) -> Clinics:
    """Two clinics that Carol is a patient of; the first one has made her account, and knows Dave as well."""
    with storing(database) as unit:
        first, second = make_staffed_clinic(unit), make_clinic(unit)
        make_patient(unit, first, CAROL, "custodian")
        make_patient(unit, first, DAVE)
        make_patient(unit, second, CAROL)
        return Clinics(first.id, second.id)


def update(api: Client, body: Any = ..., person: Somebody = CAROL, as_: Somebody | None = SERVICE) -> Reply:
    return api.post(f"/v1/patients/{person.id}/summary", as_=as_, json=body)


def shown(api: Client, clinic_id: str, person: Somebody = CAROL) -> Any:
    """What GetPatient shows; None when it shows no summary."""
    return api.get(f"/v1/clinics/{clinic_id}/patients/{person.id}", as_=SERVICE).json.get("summary")


def times(database: Database, person: Somebody = CAROL) -> dict[str, datetime]:
    """When somebody's records changed, by clinic."""
    return {row.clinic_id: row.updated_time for row in stored(database, Patient) if row.user_id == person.id}


def full(random: Random, **members: Any) -> dict[str, Any]:
    return {"cgmStats": cgm_stats(random, **members), "bgmStats": bgm_stats(random, **members)}


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
        assert [sql.split()[0] for sql in statements if sql != "BEGIN IMMEDIATE"] == ["SELECT", "SELECT"]
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


class TestLateUpdates:
    """Rule: a message about the stored summary that is older than it is acknowledged and dropped."""

    @staticmethod
    def at(random: Random, hours: float | None, summary_id: str | None = ID, kind: str = CGM) -> dict[str, Any]:
        """A summary of that many hours before the newest; None for one that does not say."""
        time = None if hours is None else clock.to_wire(NEWEST - timedelta(hours=hours))
        return STATS[kind](random, id=summary_id, dates=dates(random, lastUpdatedDate=time))

    @pytest.mark.usefixtures("clinics")
    def test_an_older_one_is_dropped(self, api: Client, database: Database, random: Random) -> None:
        update(api, {"cgmStats": self.at(random, 1)})
        before = everything(database)
        with clock.frozen(NOW + timedelta(days=1)):
            assert update(api, {"cgmStats": self.at(random, 1 + 1e-6)}).status == 200
            assert update(api, {"cgmStats": self.at(random, 100)}).status == 200
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
        update(api, {"cgmStats": self.at(random, *stored_as)})
        after = self.at(random, *given)
        assert update(api, {"cgmStats": after}).status == 200
        for clinic_id in clinics:
            assert shown(api, clinic_id) == {"cgmStats": after}

    def test_a_time_of_year_1_does_not_make_it_older(self, api: Client, clinics: Clinics, random: Random) -> None:
        update(api, {"cgmStats": self.at(random, 1)})
        after = cgm_stats(random, id=ID, dates=dates(random, lastUpdatedDate="0001-01-01T00:00:00Z"))
        update(api, {"cgmStats": after})
        assert shown(api, clinics.first) == {"cgmStats": after}

    def test_it_is_decided_for_each_clinic(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        newer, older = self.at(random, 1), self.at(random, 2)
        update(api, {"cgmStats": newer})
        with storing(database) as unit:
            third = make_clinic(unit)
            make_patient(unit, third, CAROL)
        with clock.frozen(NOW + timedelta(days=1)):
            update(api, {"cgmStats": older})
        assert [shown(api, clinic_id)["cgmStats"] for clinic_id in (*clinics, third.id)] == [newer, newer, older]
        assert times(database) == {**dict.fromkeys(clinics, NOW), third.id: NOW + timedelta(days=1)}

    def test_it_is_decided_for_each_type(self, api: Client, clinics: Clinics, random: Random) -> None:
        before = {"cgmStats": self.at(random, 1), "bgmStats": self.at(random, 1, kind=BGM)}
        after = {"cgmStats": self.at(random, 2), "bgmStats": self.at(random, 0.5, kind=BGM)}
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


class TestBadInput:
    @pytest.fixture(autouse=True)
    def _nothing_changes(self, database: Database, clinics: Clinics, random: Random) -> Iterator[None]:  # noqa: ARG002
        with storing(database) as unit:
            put_summaries(unit, CAROL, **full(random))
        before = everything(database)
        yield
        assert everything(database) == before

    @pytest.mark.parametrize("body", [None, [], "", 5, True, [{}]])
    def test_bodies_that_are_no_object_are_refused(self, api: Client, body: Any) -> None:
        assert_error(update(api, body), 400)

    @pytest.mark.parametrize("kind", TYPES)
    @pytest.mark.parametrize("stats", [None, [], "", 5, {"id": 5}, {"id": None}, {"dates": None}, {"periods": []}])
    def test_summaries_of_another_form_are_refused(self, api: Client, kind: str, stats: Any) -> None:
        assert_error(update(api, {f"{kind}Stats": stats}), 400)

    @pytest.mark.parametrize("summary_id", ["A" * 24, "a" * 25, "g", "a b", f"{ID}\n"])
    def test_ids_that_break_the_spec_are_refused(self, api: Client, random: Random, summary_id: str) -> None:
        reply = update(api, {"cgmStats": cgm_stats(random, id=summary_id)})
        assert_error(reply, 400)
        assert {violation["pointer"] for violation in reply.json["errors"]} == {"/body/cgmStats/id"}

    @pytest.mark.parametrize("kind", TYPES)
    def test_rule_statistics_that_miss_a_required_member_are_refused(
        self, api: Client, random: Random, kind: str
    ) -> None:
        whole = STATS[kind](random, periods=("7d",), gaps=1.0)
        required = [
            ("dates", name) for name in ("hasFirstData", "hasLastData", "hasLastUploadDate", "hasOutdatedSince")
        ]
        required += [("config", name) for name in whole["config"]]
        required += [("periods", field.flag) for field in FIELDS if kind in field.flagged]
        optional = {BGM: {"standardDeviation", "coefficientOfVariation"}, CGM: set[str]()}[kind]
        always = [f.name for f in FIELDS if kind in f.types and kind not in f.flagged and f.name not in optional]
        required += [("periods", name + delta) for name in always for delta in ("", DELTA)]
        assert len(required) == {CGM: 31 + 12, BGM: 19 + 6}[kind] + 4 + 5
        for member, name in required:
            stats = copy.deepcopy(whole)
            holder = stats[member]["7d"] if member == "periods" else stats[member]
            del holder[name]
            reply = update(api, {f"{kind}Stats": stats})
            assert_error(reply, 400)
            ((pointer, rule),) = {(violation["pointer"], violation["rule"]) for violation in reply.json["errors"]}
            assert (pointer.rpartition("/")[2], rule) == (name, "required")

    @pytest.mark.parametrize("kind", TYPES)
    def test_rule_one_bad_type_refuses_the_other_as_well(self, api: Client, random: Random, kind: str) -> None:
        body = full(random)
        del body[f"{kind}Stats"]["periods"]["30d"]["max"]
        assert_error(update(api, body), 400)

    @pytest.mark.parametrize("value", [None, "5", True, [], {}])
    def test_figures_that_are_no_numbers_are_refused(self, api: Client, random: Random, value: Any) -> None:
        body = full(random)
        body["bgmStats"]["periods"]["7d"]["totalRecords"] = value
        assert_error(update(api, body), 400)

    @pytest.mark.parametrize("name", TIMES)
    @pytest.mark.parametrize("kind", TYPES)
    @pytest.mark.parametrize("time", ["2016-12-31T23:59:60Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-00:01"])
    def test_times_that_are_in_no_calendar_are_refused(
        self, api: Client, random: Random, kind: str, name: str, time: str
    ) -> None:
        stats = STATS[kind](random, dates=dates(random, **{name: time}))
        assert_violations(update(api, {f"{kind}Stats": stats}), (f"/body/{kind}Stats/dates/{name}", "format"))

    @pytest.mark.parametrize("time", ["", "2026-03-01", "2026-03-01T10:00:00", "2026-02-30T10:00:00Z", CANARY, 5, None])
    def test_times_of_another_form_are_refused(self, api: Client, random: Random, time: Any) -> None:
        stats = cgm_stats(random) | {"dates": dates(random) | {"lastData": time}}
        assert_error(update(api, {"cgmStats": stats}), 400)

    def test_malformed_user_ids_are_refused(self, api: Client, random: Random) -> None:
        person = CAROL._replace(id="Carol")
        assert_violations(update(api, full(random), person), ("/path/patientId", "pattern"))

    def test_nothing_of_the_request_is_repeated(
        self, api: Client, random: Random, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        bodies: list[dict[str, Any]] = [
            {"cgmStats": {CANARY: 1, "id": CANARY}},
            {"cgmStats": cgm_stats(random, dates=dates(random, lastUpdatedReason=[CANARY], lastData=CANARY))},
            {"bgmStats": {"periods": {CANARY: {CANARY: CANARY}}}},
        ]
        for body in bodies:
            reply = update(api, body)
            assert_error(reply, 400)
            captured = capfd.readouterr()
            for place in (str(reply.json), str(reply.headers), caplog.text, captured.out, captured.err):
                assert CANARY not in place


class TestWhoMay:
    def test_needs_a_token(self, api: Client, clinics: Clinics, random: Random) -> None:
        assert_error(update(api, full(random), as_=None), 401)
        assert shown(api, clinics.first) is None

    @pytest.mark.parametrize("caller", [ALICE, BOB, CAROL, DAVE, MALLORY])
    def test_is_for_services(self, api: Client, clinics: Clinics, random: Random, caller: Somebody) -> None:
        assert_error(update(api, full(random), as_=caller), 403)
        # Whatever the body is like.
        assert_error(update(api, {"cgmStats": 5}, as_=caller), 403)
        assert shown(api, clinics.first) is None

    @pytest.mark.usefixtures("clinics")
    @pytest.mark.parametrize("with_body", [True, False])
    def test_rule_a_user_who_is_nobodys_patient_is_answered_204(
        self, api: Client, database: Database, random: Random, with_body: bool
    ) -> None:
        """404 would be tried again for ever."""
        before = everything(database)
        for body in (full(random) if with_body else ..., {}):
            reply = update(api, body, MALLORY)
            assert (reply.status, reply.json) == (204, None)
        assert everything(database) == before


class TestTransactions:
    @pytest.mark.usefixtures("clinics")
    def test_all_or_nothing(self, api: Client, database: Database, random: Random) -> None:
        with storing(database) as unit:
            put_summaries(unit, CAROL, **full(random))
        body = {"cgmStats": cgm_stats(random, periods=("1d", "14d")), "bgmStats": bgm_stats(random)}
        # Lock, what is known, summaries, documents, figures, vanished periods, list index, the records' times, outbox.
        assert_all_or_nothing(database, lambda: update(api, body), statements=9)
        # Lock, what is known, figures, summaries, list index emptied and removed, the records' times, outbox.
        assert_all_or_nothing(database, lambda: update(api), statements=8)

    @pytest.mark.usefixtures("clinics")
    def test_the_number_of_statements_is_fixed(self, api: Client, database: Database, random: Random) -> None:
        def sent() -> list[int]:
            return [number_of_statements(database, lambda b=body: update(api, b)) for body in (full(random), {}, ...)]  # type: ignore[misc]

        few = sent()
        with storing(database) as unit:
            clinics = [make_clinic(unit) for _ in range(20)]
            for clinic in clinics:
                make_patient(unit, clinic, CAROL)
            for number in range(20):
                person = Somebody(f"{number:010x}", f"Patient {number}", f"{number}@mail.example")
                make_patient(unit, clinics[0], person)
                put_summaries(unit, person, **full(random))
        assert sent() == few == [8, 3, 8]

    def test_very_many_clinics_are_served_in_batches(self, api: Client, database: Database, random: Random) -> None:
        with storing(database) as unit:
            for _ in range(101):
                make_patient(unit, make_clinic(unit), CAROL)
        body = full(random, periods=("14d",))
        assert update(api, body).status == 200
        assert len(documents(database, CAROL)) == len(statistics(database, CAROL)) == 202
        assert set(times(database).values()) == {NOW}

    def test_of_two_updates_at_once_the_later_one_stands(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        before, after = full(random), {"cgmStats": cgm_stats(random, periods=("7d",))}
        reply = meanwhile(database, lambda unit: put_summaries(unit, CAROL, **before), lambda: update(api, after))
        assert reply.status == 200
        for clinic_id in clinics:
            assert shown(api, clinic_id) == {**after, "bgmStats": before["bgmStats"]}
            assert (clinic_id, "cgm14d") not in statistics(database, CAROL)
        # Both moved the time, at one moment.
        assert set(times(database).values()) == {NOW + timedelta(milliseconds=1)}

    def test_an_older_update_that_comes_meanwhile_is_dropped(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        newer, older = (TestLateUpdates.at(random, hours) for hours in (1, 2))
        reply = meanwhile(
            database,
            lambda unit: put_summaries(unit, CAROL, cgmStats=newer),
            lambda: update(api, {"cgmStats": older}),
        )
        assert reply.status == 200
        assert shown(api, clinics.second) == {"cgmStats": newer}

    def test_a_patient_who_is_removed_meanwhile_gets_nothing(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        def remove(unit: UnitOfWork) -> None:
            unit.patients.remove([unit.patients.lock(clinics.first, CAROL.id)], None)

        assert meanwhile(database, remove, lambda: update(api, full(random))).status == 200
        assert {clinic_id for clinic_id, _ in documents(database, CAROL)} == {clinics.second}
        assert {row.clinic_id for row in stored(database, Patient) if row.user_id == CAROL.id} == {clinics.second}

    def test_a_user_whose_last_record_is_removed_meanwhile_is_nobodys_patient(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        def remove(unit: UnitOfWork) -> None:
            unit.patients.remove([unit.patients.lock(clinics.first, DAVE.id)], None)

        assert meanwhile(database, remove, lambda: update(api, full(random), DAVE)).status == 204

    def test_a_removal_of_the_summary_that_comes_meanwhile_removes_the_new_one(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        with storing(database) as unit:
            put_summaries(unit, CAROL, **full(random, id=ID))
        reply = meanwhile(
            database,
            lambda unit: put_summaries(unit, CAROL, **full(random, id=ID)),
            lambda: api.delete(f"/v1/summaries/{ID}/clinics", as_=SERVICE),
        )
        assert reply.status == 200
        assert shown(api, clinics.first) is None
        assert statistics(database, CAROL) == {}

    def test_an_update_that_comes_while_the_summary_is_removed_is_stored(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        with storing(database) as unit:
            put_summaries(unit, CAROL, **full(random, id=ID))
        after = full(random, id=ID)
        for kind in TYPES:
            # An earlier state would be passed over by an update that comes before the removal ends.
            after[f"{kind}Stats"]["dates"]["lastUpdatedDate"] = "2027-01-01T00:00:00.000Z"
        reply = meanwhile(database, lambda unit: service.remove_summary(unit, ID), lambda: update(api, after))
        assert reply.status == 200
        assert shown(api, clinics.second) == after
        assert len(statistics(database, CAROL)) == 16

    def test_the_record_of_a_deletion_holds_the_summaries(
        self, api: Client, database: Database, clinics: Clinics, random: Random
    ) -> None:
        update(api, body := full(random))
        with storing(database) as unit:
            (record,) = [unit.patients.describe_one(clinics.first, CAROL.id).children()]
            unit.patients.remove([unit.patients.lock(clinics.first, CAROL.id)], None)
        assert record["summaries"] == {kind: body[f"{kind}Stats"] for kind in TYPES}
        assert {clinic_id for clinic_id, _ in statistics(database, CAROL)} == {clinics.second}
