"""What follows from an event: a mail for the kinds named here, a notice for all others."""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from clinic_service.gateways.mail import Mail
from clinic_service.outbox.events import ClinicCreated, ClinicianPermissionsUpdated

# Each has templates of its name. The mail goes to the user that the payload's `userId` names.
MAILS = frozenset({ClinicCreated.kind, ClinicianPermissionsUpdated.kind})
_TEMPLATES = Path(__file__).parent / "templates"


def is_mail(kind: str) -> bool:
    """Whether an event of this kind is delivered by mail."""
    return kind in MAILS


def compose(kind: str, payload: Mapping[str, Any], *, to: str, key: str, application_url: str | None) -> Mail:
    """The mail that tells `to` of the event; the payload's members are the variables of its templates."""
    values = {name: " ".join(value.split()) for name, value in payload.items() if isinstance(value, str)}
    escaped = {name: html.escape(value) for name, value in values.items()}
    subject, _, text = _template(f"{kind}.txt").partition("\n")
    content = Template(_template(f"{kind}.html")).substitute(escaped, SignIn=_sign_in_html(application_url))
    return Mail(
        to=to,
        subject=Template(subject).substitute(values),
        text=Template(text.lstrip("\n")).substitute(values, SignIn=_sign_in_text(application_url)),
        html=Template(_template("layout.html")).substitute(Content=content),
        key=key,
    )


@cache
def _template(name: str) -> str:
    """The template file `name`; the first line of a plain text is the subject."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _sign_in_text(url: str | None) -> str:
    return f"Sign in at {url}" if url else "Sign in as usual to see more."


def _sign_in_html(url: str | None) -> str:
    return f'<a class="button" href="{html.escape(url)}">Sign in</a>' if url else "Sign in as usual to see more."
