"""TideReport: parameters that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import BOB, SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.tide import Tide

pytestmark = pytest.mark.one_engine

CANARY = "kanarie4711"

BAD: list[tuple[str, Any]] = [
    *[("period", text) for text in ("", "2d", "14", "14D", "114d", "14d ", "14d\n")],
    *[("tags", text) for text in ("", "_", ",", "a" * 23, "A" * 24, f"{'a' * 24},", f"{'a' * 24},_", f"{'a' * 24} ")],
    ("tags", ",".join(f"{number:024x}" for number in range(51))),
    *[("lastDataCutoff", text) for text in ("", "yesterday", "2026-02-16", "2026-02-16T00:00:00", "1770000000")],
    *[("lastDataCutoff", text) for text in ("2026-02-31T00:00:00Z", "2026-02-16T24:00:00Z", "2026-02-16T00:00:60Z")],
    *[("lastDataCutoff", text) for text in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000-05:00")],
    *[("lastDataCutoff", text) for text in ("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-01:00")],
    *[("categories", text) for text in ("noData", ",", "meetingtargets", "meetingTargets,", "timeInLowPercent", " ")],
    ("categories", "meetingTargets,noData"),
    ("categories", ",".join(["meetingTargets"] * 51)),
    *[("excludeNoData", text) for text in ("", "1", "yes", "True", "null")],
]


@pytest.fixture
def tide(api: Client, database: Database) -> Tide:
    return Tide(api, database)


class TestBadInput:
    @pytest.mark.parametrize(("name", "text"), BAD)
    def test_rule_a_malformed_parameter_is_refused_and_named(self, tide: Tide, name: str, text: str) -> None:
        reply = tide.ask("", BOB, **{name: text})
        assert_error(reply, 400)
        pointers = {violation["pointer"] for violation in reply.json["errors"]}
        assert pointers, reply.json
        assert all(pointer == f"/query/{name}" or pointer.startswith(f"/query/{name}/") for pointer in pointers)

    @pytest.mark.parametrize("name", ["period", "tags", "lastDataCutoff", "categories", "excludeNoData"])
    def test_rule_the_refusal_never_repeats_a_value(self, tide: Tide, name: str) -> None:
        reply = tide.ask("", BOB, **{name: CANARY})
        assert_error(reply, 400)
        assert CANARY not in str(reply.json)

    @pytest.mark.parametrize("name", ["period", "tags", "lastDataCutoff"])
    def test_the_required_ones_cannot_be_left_out(self, tide: Tide, name: str) -> None:
        assert_violations(tide.ask("", BOB, **{name: None}), (f"/query/{name}", "required"))

    def test_rule_the_zero_time_of_senders_is_no_cutoff(self, tide: Tide) -> None:
        zero = tide.ask("", BOB, lastDataCutoff="0001-01-01T00:00:00Z")
        assert_violations(zero, ("/query/lastDataCutoff", "minimum"))
        assert tide.ask("", BOB, lastDataCutoff="0002-01-01T00:00:00Z").status == 200

    @pytest.mark.parametrize("name", ["period", "tags", "lastDataCutoff", "categories", "excludeNoData"])
    def test_rule_a_repeated_parameter_is_refused(self, tide: Tide, name: str) -> None:
        """Also the lists, which are one value with commas."""
        values = dict(tide.asked({"categories": "meetingTargets", "excludeNoData": "true"}))
        query = "&".join(f"{name}={value}" for name, value in values.items())
        assert tide.ask(query).status == 200
        assert_violations(tide.ask(f"{query}&{name}={values[name]}"), (f"/query/{name}", "repeated"))

    def test_other_parameters_are_ignored(self, tide: Tide) -> None:
        assert tide.ask("", BOB, limit=0, sort="x").status == 200

    def test_the_clinic_has_to_be_named_by_an_id(self, tide: Tide) -> None:
        tide.path = "/v1/clinics/harbour/tide_report"
        assert_error(tide.ask("", SERVICE), 400)
