"""The page that shows a patient's report in the browser of a user of a health record system."""

from __future__ import annotations

import base64
import html
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from importlib.resources import files
from string import Template
from urllib.parse import quote, urlencode, urlsplit

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.gateways.restricted_tokens import RestrictedTokens, is_token_id
from clinic_service.models import XEALTH_REPORTS
from clinic_service.resources.clinics.errors import ClinicNotFound
from clinic_service.resources.ehr.errors import PatientDataIncomplete, ReportTokenRefused
from clinic_service.resources.ehr.subscriptions import find_subscription
from clinic_service.resources.ehr.xealth.programs import latest
from clinic_service.resources.patients.errors import PatientNotFound
from clinic_service.unit_of_work import UnitOfWork

_PERIOD = timedelta(days=14)
_PAGE = "viewer.html"
_STYLE = (
    "html,body{height:100%;margin:0}iframe{border:0;display:block;height:calc(100% - 3em);width:100%}p{margin:.8em}"
)
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode("ascii")
# The path of the viewer's files, if there is a viewer, and its page, which shows the document of the parameter `file`.
VIEWER_FILES, VIEWER_PAGE = "/v1/xealth/report/viewer", "web/viewer.html"


def check_token(tokens: RestrictedTokens, token_id: str, user_id: str) -> None:
    """Raise ReportTokenRefused unless the token gives access to the data of the user; and BadGateway.

    A text without the form of a token is refused without looking it up.
    """
    token = tokens.find(token_id) if is_token_id(token_id) else None
    if token is None or token.user_id != user_id:
        raise ReportTokenRefused


def report_link(uow: UnitOfWork, clinic_id: str, user_id: str, token_id: str, application_url: str) -> str:
    """The URL of the report as a PDF, over the last 14 days of data.

    Raises ClinicNotFound, PatientNotFound, ReportTokenRefused without an active subscription in an enabled clinic, and
    PatientDataIncomplete, in this order.
    """
    clinic = uow.xealth_orders.find_reported_clinic(clinic_id)
    if clinic is None:
        raise ClinicNotFound
    patient = uow.xealth_orders.find_reported_patient(clinic_id, user_id)
    if patient is None:
        raise PatientNotFound
    subscription = find_subscription(uow, clinic_id, patient.id, XEALTH_REPORTS)
    if not clinic.ehr_enabled or subscription is None or not subscription.active:
        raise ReportTokenRefused
    if not (patient.birth_date and patient.mrn and patient.full_name):
        raise PatientDataIncomplete
    end = latest(row.last_data for row in uow.xealth_orders.summary_dates(clinic_id, patient.id))
    given = {
        "bgUnits": clinic.preferred_bg_units,
        "dob": patient.birth_date,
        "endDate": end and _second(end),
        "fullName": patient.full_name,
        "inline": "true",
        "mrn": patient.mrn,
        "reports": "all",
        "restricted_token": token_id,
        "startDate": end and _second(end - _PERIOD),
        "tzName": clinic.timezone,
        "userId": user_id,
    }
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{application_url.rstrip('/')}/export/report/{quote(user_id, safe='')}?{query}"


def _second(time: datetime) -> str:
    """The time without its fraction of a second."""
    return f"{clock.to_wire(time)[:19]}Z"


def render_page(link: str, config: Config) -> str:
    """The page, which has the report in a frame. This server's viewer shows it if there is one, else the browser."""
    frame = link
    if config.xealth_viewer_directory:
        frame = f"{config.path_prefix or ''}{VIEWER_FILES}/{VIEWER_PAGE}?{urlencode({'file': link})}"
    return _template().substitute(style=_STYLE, frame=html.escape(frame), report=html.escape(link))


def page_headers(config: Config) -> list[tuple[str, str]]:
    """The headers that prevent other sites from getting the token, which is in the URLs of the page and of the report.

    Any site may show the page in a frame, as health record systems do.
    """
    parts = urlsplit(config.application_url or "")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        f"frame-src 'self' {parts.scheme}://{parts.netloc}; base-uri 'none'; form-action 'none'"
    )
    return [("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer")]


@cache
def _template() -> Template:
    return Template((files(__package__) / _PAGE).read_text(encoding="utf-8"))
