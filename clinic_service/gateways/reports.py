"""The export service, which makes the report of a patient's data as a PDF file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from clinic_service.gateways.own_tokens import OwnToken
from clinic_service.gateways.server_token import SESSION_HEADER, chosen_server_token

# The time limit of one report in seconds. The service reads and draws all the patient's data.
SECONDS = 120.0
MAX_REPORT_BYTES = 32 * 1024 * 1024
_PDF = b"%PDF-"


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """The patient and the format of a report; None for unknown values and for missing limits.

    `birth_date` is YYYY-MM-DD, `bg_units` mg/dL or mmol/L. The report covers the time from `start` to `end`.
    """

    user_id: str
    full_name: str
    birth_date: str
    mrn: str | None = None
    timezone: str | None = None
    bg_units: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Reports(Protocol):
    """Makes reports. Raises BadGateway for a refusal or an invalid answer, and Unavailable without an answer in time."""

    def generate(self, wanted: ReportRequest) -> bytes:
        """All reports on the patient in one PDF file."""


class HttpReports:
    """The export service over HTTP, called with this server's token. Safe to share between threads."""

    def __init__(self, config: Config, server_token: OwnToken, *, seconds: float = SECONDS) -> None:
        """`seconds`: the time limit of one report. Raises ConfigError for an invalid address."""
        url = config.export_client_address
        if not http.is_http_url(url):
            raise ConfigError("CLINIC_EXPORT_CLIENT_ADDRESS must be an http(s) URL.")
        self._service = http.RemoteService(url.rstrip("/"), seconds=seconds, max_answer_bytes=MAX_REPORT_BYTES)
        self._server_token = server_token

    def generate(self, wanted: ReportRequest) -> bytes:
        path, body = f"/export/report/{quote(wanted.user_id, safe='')}", orjson.dumps(_document(wanted))

        def ask(token: str) -> http.Reply:
            headers = {SESSION_HEADER: token, "accept": "application/pdf", "content-type": "application/json"}
            return self._service.exchange("POST", path, headers=headers, body=body)

        report = self._server_token.call(ask).require(200).body
        # Anything but a PDF must not get into a health record.
        if not report.startswith(_PDF):
            raise BadGateway
        return report


def chosen_reports(config: Config) -> Reports:
    """The export service for `config`. Raises ConfigError."""
    return HttpReports(config, chosen_server_token(config))


def _document(wanted: ReportRequest) -> dict[str, Any]:
    user = {"userId": wanted.user_id, "fullName": wanted.full_name, "dob": wanted.birth_date, "mrn": wanted.mrn}
    report = {
        "tzName": wanted.timezone,
        "bgUnits": wanted.bg_units,
        "reports": ["all"],
        "startDate": _seconds(wanted.start),
        "endDate": _seconds(wanted.end),
    }
    return {"userDetail": _known(user), "reportDetail": _known(report)}


def _known(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _seconds(time: datetime | None) -> str | None:
    """The time in RFC 3339 with whole seconds, as the service reads it."""
    return None if time is None else clock.to_wire(time.replace(microsecond=0)).replace(".000Z", "Z")
