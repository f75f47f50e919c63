"""The export service over HTTP, against a real server that behaves well and badly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from clinic_service.config import ConfigError
from clinic_service.errors import BadGateway, Unavailable
from clinic_service.gateways.http import MAX_ANSWER_BYTES
from clinic_service.gateways.reports import MAX_REPORT_BYTES, HttpReports, ReportRequest, chosen_reports
from clinic_service.gateways.server_token import signed_token
from clinic_service.gateways.tokens import TokenVerifier
from tests.support.http_server import Response, call_timeout
from tests.support.redox import PDF, Redox, redox_server

USER_ID = "ca401c0003"
WANTED = ReportRequest(
    USER_ID,
    "Carol Cooper",
    "1987-04-12",
    mrn="MRN-20417",
    timezone="US/Eastern",
    bg_units="mg/dL",
    start=datetime(2026, 2, 15, 12, 0, 0, 500_000, tzinfo=UTC),
    end=datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC),
)


@pytest.fixture
def export() -> Iterator[Redox]:
    with redox_server() as running:
        yield running


@pytest.fixture
def reports(export: Redox, request: pytest.FixtureRequest) -> HttpReports:
    config = export.config()
    return HttpReports(config, signed_token(config), seconds=call_timeout(request))


def test_report_is_asked_for_in_this_servers_name(export: Redox, reports: HttpReports) -> None:
    assert reports.generate(WANTED) == PDF
    (asked,) = export.server.received
    assert (asked.method, asked.path) == ("POST", f"/export/report/{USER_ID}")
    caller = TokenVerifier.from_config(export.config()).caller(asked.headers["x-tidepool-session-token"])
    assert caller.is_service
    assert asked.json == {
        "userDetail": {"userId": USER_ID, "fullName": "Carol Cooper", "dob": "1987-04-12", "mrn": "MRN-20417"},
        "reportDetail": {
            "tzName": "US/Eastern",
            "bgUnits": "mg/dL",
            "reports": ["all"],
            "startDate": "2026-02-15T12:00:00Z",
            "endDate": "2026-03-01T12:00:00Z",
        },
    }


def test_what_is_not_known_is_left_out(export: Redox, reports: HttpReports) -> None:
    reports.generate(ReportRequest(USER_ID, "Carol Cooper", "1987-04-12"))
    assert export.server.received[0].json == {
        "userDetail": {"userId": USER_ID, "fullName": "Carol Cooper", "dob": "1987-04-12"},
        "reportDetail": {"reports": ["all"]},
    }


def test_large_report_is_read(export: Redox, reports: HttpReports) -> None:
    large = PDF + b"x" * MAX_ANSWER_BYTES
    export.report = lambda _: Response(200, body=large)
    assert reports.generate(WANTED) == large


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(404), id="nobody's data"),
        pytest.param(Response(401), id="refusal"),
        pytest.param(Response(500), id="failure"),
        pytest.param(Response(302, headers={"location": "/elsewhere"}), id="redirect"),
        pytest.param(Response(200), id="empty"),
        pytest.param(Response(200, body=b"<html>"), id="no PDF"),
        pytest.param(Response(200, body=PDF + b"x" * MAX_REPORT_BYTES), id="too large"),
        pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
    ],
)
def test_refusals_and_nonsense(export: Redox, reports: HttpReports, response: Response) -> None:
    export.report = lambda _: response
    with pytest.raises(BadGateway):
        reports.generate(WANTED)
    assert "/elsewhere" not in export.paths


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(raw=b""), id="hung up"),
        pytest.param(Response(hang=True), id="no answer"),
        pytest.param(
            Response(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n%PDF-", hang=True), id="half a report"
        ),
    ],
)
def test_no_answer(export: Redox, reports: HttpReports, response: Response) -> None:
    export.report = lambda _: response
    with pytest.raises(Unavailable):
        reports.generate(WANTED)


def test_address_that_cannot_be_called_stops_the_start(export: Redox) -> None:
    with pytest.raises(ConfigError, match="CLINIC_EXPORT_CLIENT_ADDRESS"):
        chosen_reports(export.config(export_client_address="export"))
