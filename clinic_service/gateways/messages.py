"""Messages: one mail as the bytes that a mail server is sent.

Names and addresses that somebody typed are part of it, so nothing here relies on how a version of the standard library
treats them (CVE-2024-6923). The subject is one encoded text, the bytes are read again, and a message that does not read
as it was meant is not sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.header import Header, decode_header, make_header
from email.headerregistry import Address
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr, make_msgid
from typing import Any, NamedTuple

from clinic_service import clock

# What ends a line, steers a terminal, turns the direction of reading or is half a character.
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
# Quoted local parts, comments and encoded words are read in different ways by different programs.
_ADDRESS = re.compile(rf"(?!.*=\?){_ATOMS}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_HEADERS = ["Content-Type", "MIME-Version", "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
# The older interface writes a header as it is given. The newer one decodes it first.
_WRITER = policy.compat32.clone(linesep="\r\n")
_READERS: tuple[Any, ...] = (policy.compat32, policy.default)


class UnsafeMessage(ValueError):
    """The mail cannot be written so that it reads as it was meant."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address, once as plain text and once as HTML.

    `key` names what the mail is about. Mails with one key have one Message-ID, so that a mail that had to be sent
    again can be recognised.
    """

    to: str
    subject: str
    text: str
    html: str
    key: str | None = None


class _Reading(NamedTuple):
    """What a program reads in a message: the names of its headers, two of them, and its parts with their types."""

    names: list[str]
    to: str
    subject: str
    parts: list[tuple[str, Any]]


def one_line(text: str) -> str:
    """`text` on one line, without characters that are no text."""
    return " ".join(_NO_TEXT.sub(" ", text).split())


def header_text(text: str) -> str:
    """`text` for a header: on one line, and with nothing that a program which decodes it once more would find."""
    return one_line(text).replace("=?", "= ?")


def is_plain_address(text: str) -> bool:
    """Whether every program reads `text` as the same one e-mail address."""
    return _ADDRESS.fullmatch(text) is not None


def serialize(mail: Mail, sender: Address) -> bytes:
    """The message, ready to be sent. Raises UnsafeMessage."""
    if not is_plain_address(mail.to):
        raise UnsafeMessage
    subject = header_text(mail.subject)
    parts = [("text/plain", _wire_text(mail.text)), ("text/html", _wire_text(mail.html))]
    raw = _message(mail, sender, subject, parts).as_bytes()
    meant = _Reading(_HEADERS, mail.to, subject, [(media_type, text.encode()) for media_type, text in parts])
    if any(_read(message_from_bytes(raw, policy=reader)) != meant for reader in _READERS):
        raise UnsafeMessage
    return raw


def _message(mail: Mail, sender: Address, subject: str, parts: list[tuple[str, str]]) -> Message[Any, Any]:
    message: Message[Any, Any] = MIMEMultipart("alternative", policy=_WRITER)
    message["From"] = formataddr((sender.display_name, sender.addr_spec))
    message["To"] = mail.to
    message["Subject"] = Header(subject, "utf-8", header_name="Subject")
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{mail.key}@{sender.domain}>" if mail.key else make_msgid(domain=sender.domain)
    # Asks mail programs of absent people not to answer.
    message["Auto-Submitted"] = "auto-generated"
    for media_type, text in parts:
        message.attach(MIMEText(text, media_type.partition("/")[2], "utf-8", policy=_WRITER))
    return message


def _read(message: Message[Any, Any]) -> _Reading:
    parts = [part for part in message.walk() if not part.is_multipart()]
    return _Reading(
        message.keys(),
        str(message["To"]),
        str(make_header(decode_header(message.get("Subject", "")))),
        [(part.get_content_type(), part.get_payload(decode=True)) for part in parts],
    )


def _wire_text(text: str) -> str:
    """`text` with the line ends of the wire, the last line ended as well."""
    return _LINE_END.sub("\r\n", text.rstrip("\r\n") + "\n")
