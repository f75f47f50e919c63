"""XealthGetPrograms: PUT /v1/xealth/programs"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete

from clinic_service import clock
from clinic_service.models import EhrSubscription, MatchedMessage, Patient, XealthOrder, XealthReportView
from tests.support.cast import ALICE, CAROL, DAVE, SERVICE
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_data_source, make_patient, stored, storing
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries
from tests.support.summaries import dates as summary_dates
from tests.support.units import everything, number_of_statements
from tests.support.xealth_site import (
    AUTHORIZED,
    BIRTH_DATE,
    DEPLOYMENT,
    ENROLLED,
    MRN,
    NOW,
    PROGRAM,
    XealthSite,
    asking,
    ehr_columns,
    make_enrolled_patient,
    make_xealth_clinic,
)

USER = "E10422"
# Between the two a report is summarised: on another day, so that the days tell them apart.
UPLOADED, UPDATED = "2026-02-27T10:00:00.000Z", "2026-02-28T23:59:59.999Z"


@pytest.fixture
def patient(site: XealthSite) -> Patient:
    """Carol, who is enrolled and has no data."""
    with storing(site.database) as unit:
        return make_enrolled_patient(unit, make_xealth_clinic(unit), CAROL)


def program(site: XealthSite, **patient: Any) -> Any:
    reply = site.programs(asking(**patient))
    assert reply.status == 200, reply.json
    assert reply.json["present"] is True
    [only] = reply.json["programs"]
    return only


def part(site: XealthSite, name: str) -> str:
    """A part of the description."""
    parts = dict(text.split(": ", 1) for text in program(site)["description"].split(" | "))
    return str(parts[name])


def summarise(site: XealthSite, *, updated: str | None = UPDATED, uploaded: str | None = UPLOADED) -> None:
    random = Random(4711)
    times = summary_dates(random, lastUpdatedDate=updated, lastUploadDate=uploaded)
    with storing(site.database) as unit:
        put_summaries(unit, CAROL, cgmStats=cgm_stats(random, dates=times))


def view(site: XealthSite, time: datetime, **columns: Any) -> None:
    [patient] = [row for row in stored(site.database, Patient) if row.user_id == CAROL.id]
    given = {
        "clinic_id": patient.clinic_id,
        "patient_id": patient.id,
        "ehr_user_id": USER,
        "system_login": None,
        "deployment": DEPLOYMENT,
        "program_id": PROGRAM,
    }
    with clock.frozen(time), storing(site.database) as unit:
        unit.xealth_orders.add_view(**given | columns)


def assert_absent(site: XealthSite, body: Any = None) -> None:
    reply = site.programs(asking() if body is None else body)
    assert (reply.status, reply.json) == (200, {"present": False})


@pytest.mark.usefixtures("patient")
class TestProgram:
    def test_of_a_patient_without_data(self, site: XealthSite) -> None:
        before = everything(site.database)
        assert program(site) == {
            "title": "Tidepool",
            "programId": PROGRAM,
            "enrolledDate": "2026-02-11",
            "description": "Last Upload: N/A | Last Viewed by You: N/A | Claimed Account?: Yes | Cloud Connections: None",
            "has_alert": False,
            "hasStatusView": False,
        }
        assert everything(site.database) == before

    def test_of_a_patient_with_data_that_nobody_has_seen(self, site: XealthSite) -> None:
        summarise(site)
        assert program(site) == {
            "title": "Tidepool",
            "programId": PROGRAM,
            "enrolledDate": "2026-02-11",
            "description": (
                "Last Upload: 2026-02-28 | Last Viewed by You: N/A | Claimed Account?: Yes | Cloud Connections: None"
            ),
            "has_alert": True,
            "hasStatusView": True,
        }

    def test_is_that_of_the_order(self, site: XealthSite) -> None:
        assert program(site)["programId"] == PROGRAM
        [row] = stored(site.database, XealthOrder)
        with storing(site.database) as unit:
            unit.session.merge(row).program_id = "another-program"
        assert program(site)["programId"] == "another-program"

    def test_the_patient_is_found_without_regard_to_case(self, site: XealthSite) -> None:
        assert program(site, mrn=MRN.lower())["title"] == "Tidepool"


@pytest.mark.usefixtures("patient")
class TestDates:
    def test_the_later_summary_counts(self, site: XealthSite) -> None:
        random = Random(4711)
        older = summary_dates(random, lastUpdatedDate="2026-02-01T10:00:00Z", lastUploadDate="2026-02-01T09:00:00Z")
        newer = summary_dates(
            random, lastUpdatedDate="2026-02-20T10:00:00Z", lastUploadDate=None, hasLastUploadDate=False
        )
        with storing(site.database) as unit:
            put_summaries(unit, CAROL, cgmStats=cgm_stats(random, dates=older), bgmStats=bgm_stats(random, dates=newer))
        found = program(site)
        assert "Last Upload: 2026-02-20 |" in found["description"]
        assert found["hasStatusView"] is True

    def test_a_report_needs_an_upload(self, site: XealthSite) -> None:
        summarise(site, uploaded=None)
        assert (program(site)["hasStatusView"], program(site)["has_alert"]) == (False, True)

    def test_an_upload_that_is_not_summarised_is_no_alert(self, site: XealthSite) -> None:
        summarise(site, updated=None)
        found = program(site)
        assert (found["hasStatusView"], found["has_alert"]) == (True, False)
        assert "Last Upload: N/A" in found["description"]

    @pytest.mark.parametrize(
        ("viewed", "has_alert"),
        [
            (datetime(2026, 2, 28, 23, 59, 59, 998000, tzinfo=UTC), True),
            (datetime(2026, 2, 28, 23, 59, 59, 999000, tzinfo=UTC), False),
            (datetime(2026, 3, 1, 0, 0, tzinfo=UTC), False),
            # After the upload, and before it was summarised.
            (datetime(2026, 2, 27, 12, 0, tzinfo=UTC), True),
        ],
    )
    def test_there_is_an_alert_while_the_summary_is_newer_than_the_view(
        self, site: XealthSite, viewed: datetime, has_alert: bool
    ) -> None:
        summarise(site)
        view(site, viewed)
        assert program(site)["has_alert"] is has_alert
        assert part(site, "Last Viewed by You") == viewed.date().isoformat()

    def test_the_newest_view_counts(self, site: XealthSite) -> None:
        for day in (3, 9, 5):
            view(site, datetime(2026, 2, day, tzinfo=UTC))
        assert part(site, "Last Viewed by You") == "2026-02-09"

    @pytest.mark.parametrize(
        "columns",
        [
            {"ehr_user_id": "E10423"},
            {"ehr_user_id": USER.lower()},
            {"deployment": "hilltop"},
            {"program_id": "another"},
        ],
        ids=str,
    )
    def test_views_of_others_do_not(self, site: XealthSite, columns: dict[str, Any]) -> None:
        summarise(site)
        view(site, NOW, **columns)
        assert (part(site, "Last Viewed by You"), program(site)["has_alert"]) == ("N/A", True)

    @pytest.mark.parametrize("user", [None, {"userId": ""}, {}, {"systemLogin": "bbaker"}], ids=str)
    def test_without_a_user_it_was_never_viewed(self, site: XealthSite, user: Any) -> None:
        view(site, NOW)
        body = asking()
        body["datasets"]["ehrUserV1"] = user
        assert "Last Viewed by You: N/A" in site.programs(body).json["programs"][0]["description"]
        del body["datasets"]["ehrUserV1"]
        assert "Last Viewed by You: N/A" in site.programs(body).json["programs"][0]["description"]

    def test_days_are_those_of_utc(self, site: XealthSite) -> None:
        assert ENROLLED.hour == 23
        assert program(site)["enrolledDate"] == "2026-02-11"


class TestClaimed:
    @pytest.mark.parametrize(
        ("permissions", "claimed"),
        [
            (("view",), "Yes"),
            (("note", "upload"), "Yes"),
            (("custodian", "view", "upload", "note"), "No"),
            (("custodian",), "No"),
            ((), "No"),
            (None, "No"),
        ],
        ids=str,
    )
    def test_is_who_grants_something_and_is_no_custodial_patient(
        self, site: XealthSite, patient: Patient, permissions: tuple[str, ...] | None, claimed: str
    ) -> None:
        with storing(site.database) as unit:
            unit.session.merge(patient).permissions = permissions
        assert part(site, "Claimed Account?") == claimed


class TestConnections:
    @pytest.mark.parametrize(
        ("sources", "shown"),
        [
            ([("dexcom", "connected", 1)], "Dexcom (connected)"),
            ([("abbott", "pending", None)], "Abbott (pending)"),
            ([("twiist", "error", 1)], "twiist (error)"),
            ([("dexcom", "pendingReconnect", 1)], "Dexcom (pending reconnect)"),
            ([("dexcom", "disconnected", 1)], "Dexcom (disconnected)"),
            ([("freestyle", "connected", 1)], "Freestyle (connected)"),
            (
                [("twiist", "pendingReconnect", 1), ("dexcom", "connected", 1), ("abbott", "pending", 1)],
                "Abbott (pending), Dexcom (connected), twiist (pending reconnect)",
            ),
            # Of each provider the source that changed last.
            ([("dexcom", "error", 1), ("dexcom", "connected", 3), ("dexcom", "pending", 2)], "Dexcom (connected)"),
            ([("dexcom", "error", 1), ("dexcom", "connected", 1)], "Dexcom (error)"),
            # One without a time loses to any later one in the list.
            ([("dexcom", "error", None), ("dexcom", "connected", 1)], "Dexcom (connected)"),
            ([("dexcom", "error", None), ("dexcom", "connected", None)], "Dexcom (connected)"),
            ([("dexcom", "error", 1), ("dexcom", "connected", None)], "Dexcom (error)"),
            ([], "None"),
        ],
        ids=str,
    )
    def test_are_shown_by_provider(
        self, site: XealthSite, patient: Patient, sources: list[tuple[str, str, int | None]], shown: str
    ) -> None:
        with storing(site.database) as unit:
            carol = unit.session.merge(patient)
            for provider, state, day in sources:
                time = None if day is None else datetime(2026, 1, day, tzinfo=UTC)
                make_data_source(unit, carol, provider, state=state, modified_time=time)
        assert part(site, "Cloud Connections") == shown


class TestAbsent:
    def test_without_a_clinic(self, site: XealthSite) -> None:
        assert_absent(site)

    @pytest.mark.parametrize("ehr", [{"enabled": False}, {"provider": "redox"}, {"sourceId": "other"}], ids=str)
    def test_with_a_clinic_that_is_not_enabled_for_it(self, site: XealthSite, ehr: Any) -> None:
        with storing(site.database) as unit:
            make_enrolled_patient(unit, make_xealth_clinic(unit, ehr=ehr), CAROL)
        assert_absent(site)

    @pytest.mark.usefixtures("patient")
    def test_with_another_patient(self, site: XealthSite) -> None:
        assert_absent(site, asking(mrn="another"))
        assert_absent(site, asking(birth_date="1987-04-13"))

    def test_with_a_patient_who_is_not_subscribed(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_patient(unit, make_xealth_clinic(unit), CAROL, mrn=MRN, birth_date=BIRTH_DATE)
        assert_absent(site)

    @pytest.mark.parametrize(
        "change", [{"active": False}, {"provider": "redox"}, {"name": "summaryAndReports"}], ids=str
    )
    def test_with_a_subscription_that_is_none(self, site: XealthSite, patient: Patient, change: Any) -> None:
        with storing(site.database) as unit:
            unit.execute(delete(MatchedMessage))
            unit.execute(EhrSubscription.__table__.update().values(**change))  # type: ignore[attr-defined]
        assert patient.user_id == CAROL.id
        assert_absent(site)

    @pytest.mark.usefixtures("patient")
    def test_with_a_subscription_that_rests_on_no_order(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            unit.execute(delete(MatchedMessage))
        assert_absent(site)


@pytest.mark.usefixtures("patient")
class TestRefusals:
    @pytest.mark.one_engine
    def test_without_the_secret(self, site: XealthSite) -> None:
        for headers in ({}, {"Authorization": "Bearer another"}):
            assert_error(site.programs({}, headers=headers), 401)
        for who in (ALICE, SERVICE):
            assert_error(site.programs(asking(), headers={}, as_=who), 401)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
    def test_a_body_that_cannot_be_read(self, site: XealthSite, raw: bytes) -> None:
        assert_error(site.api.put("/v1/xealth/programs", headers=AUTHORIZED, data=raw, content_type="text/html"), 400)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", ["deployment", "patientIdentity", "datasets"])
    def test_a_member_that_is_missing(self, site: XealthSite, name: str) -> None:
        body = {key: value for key, value in asking().items() if key != name}
        assert_violations(site.programs(body), (f"/body/{name}", "required"))

    def test_data_of_the_patient_that_are_missing(self, site: XealthSite) -> None:
        body = asking()
        del body["datasets"]["demographicsV1"]["name"]
        assert_violations(site.programs(body), ("/body/datasets/demographicsV1/name", "required"))
        assert_error(site.programs(asking(mrn="")), 400)

    def test_a_deployment_of_several_clinics(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_clinic(unit, **ehr_columns())
        assert_error(site.programs(asking()), 409)

    def test_several_patients_who_match(self, site: XealthSite, patient: Patient) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(patient.clinic_id)
            make_patient(unit, clinic, DAVE, mrn=MRN.lower(), birth_date=BIRTH_DATE)
        assert_error(site.programs(asking()), 422)

    def test_an_order_that_is_no_longer_stored(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            unit.execute(delete(XealthOrder))
        assert_error(site.programs(asking()), 404)


class TestCost:
    @pytest.mark.parametrize("others", [0, 40])
    def test_is_fixed(self, site: XealthSite, patient: Patient, others: int) -> None:
        with storing(site.database) as unit:
            clinic, carol = unit.clinics.get(patient.clinic_id), unit.session.merge(patient)
            for number in range(others):
                make_patient(unit, clinic, DAVE._replace(id=f"{number:010x}"), mrn=f"A-{number}")
                make_data_source(unit, carol, f"provider {number}")
        for number in range(others):
            view(site, NOW - timedelta(days=number))
        summarise(site)
        assert number_of_statements(site.database, lambda: site.programs(asking())) == 8
        assert len(stored(site.database, XealthReportView)) == others
