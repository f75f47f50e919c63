"""Bodies, ids and callers that UpdatePatientSummary refuses."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models.statistics import BGM, CGM, DELTA, FIELDS, TYPES
from tests.api.summaries.steps import ID, STATS, TIMES, Clinics, full, shown, update
from tests.support.cast import ALICE, BOB, CAROL, DAVE, MALLORY, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import storing
from tests.support.summaries import cgm_stats, dates, put_summaries
from tests.support.units import everything

CANARY = "kanarie4711"


@pytest.mark.one_engine
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
