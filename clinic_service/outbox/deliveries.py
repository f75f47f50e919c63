"""How events are delivered: as a mail, or as a change of an account."""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from clinic_service.gateways.mail_messages import Mail, one_line
from clinic_service.outbox.events import (
    PROVIDER_NAMES,
    SIGN_UP_PATH,
    AccessOffered,
    AccountOrphaned,
    AccountUnconfirmed,
    AddressDiverged,
    ClinicCreated,
    ClinicianInvited,
    ClinicianPermissionsUpdated,
    ConnectionAction,
    ConnectionRequested,
    PatientClinicMerged,
    SourceClinicianMerged,
    TargetAdminMerged,
    UploadReminded,
)

_OF_THEIR_NAME = (
    *(ClinicCreated, ClinicianInvited, ClinicianPermissionsUpdated, AccessOffered, UploadReminded),
    *(PatientClinicMerged, SourceClinicianMerged, TargetAdminMerged),
)
# The template of each kind of mail. Requests to connect different providers share their templates.
_TEMPLATE_OF = {event.kind: event.kind for event in _OF_THEIR_NAME} | {
    ConnectionRequested.kind_of(provider_id, action): f"request_{action}"
    for provider_id in PROVIDER_NAMES
    for action in ConnectionAction
}
# The kinds of mails. A mail goes to the user `userId` of the payload, or else to its address `Email`.
MAILS = frozenset(_TEMPLATE_OF)
# The kinds of events that change an account at the directory.
ACCOUNT_CHANGES = frozenset({AccountOrphaned.kind, AccountUnconfirmed.kind, AddressDiverged.kind})
_TEMPLATES = Path(__file__).parent / "templates"


def is_mail(kind: str) -> bool:
    """Whether an event of this kind is delivered by mail."""
    return kind in MAILS


def compose(kind: str, payload: Mapping[str, Any], *, to: str, key: str, application_url: str | None) -> Mail:
    """The mail to the address `to` about the event. The members of the payload are the variables of the templates."""
    values = {name: one_line(value) for name, value in payload.items() if isinstance(value, str)}
    escaped = {name: html.escape(value) for name, value in values.items()}
    template = _TEMPLATE_OF[kind]
    subject, _, text = _template(f"{template}.txt").partition("\n")
    link = _link(application_url, values.get("WebPath", ""))
    content = Template(_template(f"{template}.html")).substitute(escaped, SignIn=link.html)
    return Mail(
        to=to,
        subject=Template(subject).substitute(values),
        text=Template(text.lstrip("\n")).substitute(values, SignIn=link.text),
        html=Template(_template("layout.html")).substitute(Content=content),
        key=key,
    )


@cache
def _template(name: str) -> str:
    """The content of the template file `name`. The first line of a plain text is the subject."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


class _Link(NamedTuple):
    """The link into the application, or a hint to sign in when the address of the application is not configured."""

    text: str
    html: str


def _link(application_url: str | None, path: str) -> _Link:
    what = "Sign up" if path == SIGN_UP_PATH else "Sign in"
    if not application_url:
        hint = f"{what} to see more." if path == SIGN_UP_PATH else "Sign in as usual to see more."
        return _Link(hint, hint)
    url = _page(application_url, path)
    return _Link(f"{what} at {url}", f'<a class="button" href="{html.escape(url)}">{what}</a>')


def _page(application_url: str, path: str) -> str:
    """The address of a page of the application; the start page for the empty path."""
    if not path:
        return application_url
    parts = urlsplit(application_url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}").geturl()
