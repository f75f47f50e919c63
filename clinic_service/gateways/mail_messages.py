"""Mail messages: the bytes that are sent to a mail server for one mail. `outbox/deliveries.py` writes the text of a mail.

A message contains names and addresses that users have entered. This module does not rely on how the standard library
encodes these, because some versions had defects (CVE-2024-6923). The subject is encoded as one text. The bytes are parsed
again, and a message that differs from the mail is not sent.
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

# Control characters, line separators, characters that change the direction of text, and surrogates.
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
# Without quoted local parts, comments and encoded words, which programs read differently.
_ADDRESS = re.compile(rf"(?!.*=\?){_ATOMS}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_HEADERS = ["Content-Type", "MIME-Version", "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
# The older interface writes a header as given. The newer one decodes it first.
_WRITER = policy.compat32.clone(linesep="\r\n")
_READERS: tuple[Any, ...] = (policy.compat32, policy.default)


class UnsafeMessage(ValueError):
    """The mail cannot be written as a message that every program reads correctly."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address, as plain text and as HTML.

    Mails with the same `key` have the same Message-ID, so that a mail program recognises a mail that was sent twice.
    """

    to: str
    subject: str
    text: str
    html: str
    key: str | None = None


class _Reading(NamedTuple):
    """What a program reads in a message: the names of the headers, two of their values, and the parts with their types."""

    names: list[str]
    to: str
    subject: str
    parts: list[tuple[str, Any]]


def one_line(text: str) -> str:
    """`text` on one line, without control characters and characters that change the direction of text."""
    return " ".join(_NO_TEXT.sub(" ", text).split())


def header_text(text: str) -> str:
    """`text` for a header: on one line, and without the beginning of an encoded word."""
    return one_line(text).replace("=?", "= ?")


def is_plain_address(text: str) -> bool:
    """Whether every program reads `text` as one and the same e-mail address."""
    return _ADDRESS.fullmatch(text) is not None


def serialize(mail: Mail, sender: Address) -> bytes:
    """The bytes of the message. Raises UnsafeMessage."""
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
    # Tells mail programs not to send automatic replies.
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
    """`text` with line ends CR LF, also after the last line."""
    return _LINE_END.sub("\r\n", text.rstrip("\r\n") + "\n")
