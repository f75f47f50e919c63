"""Mail: one message, and sending it through an SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway

# Longer than for other calls: nobody waits for mail, and some servers let strangers wait before they greet.
DEFAULT_SECONDS = 15.0
_DEFAULT_PORTS = {"smtp": 25, "smtps": 465}


class MailNotSent(BadGateway):
    """The mail server did not take the mail. `message` is the kind of failure and never holds an address."""

    message = "The mail was not sent."


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


class Mailer(Protocol):
    """Something that sends mail."""

    def send(self, mail: Mail) -> None:
        """Send `mail`. Raises MailNotSent."""


class SmtpMailer:
    """Sends through the server at `smtp_url`: `smtp://` encrypts when that is offered, `smtps://` insists on it."""

    def __init__(self, smtp_url: str, mail_from: str, *, seconds: float = DEFAULT_SECONDS) -> None:
        """`seconds`: how long the server may stay silent. Raises ConfigError."""
        self._server = _server(smtp_url)
        self._sender = _sender(mail_from)
        self._seconds = seconds

    def send(self, mail: Mail) -> None:
        try:
            message = self._message(mail)
            with self._connect() as connection:
                connection.send_message(message)
        except (OSError, smtplib.SMTPException, MessageError, ValueError, IndexError) as error:
            # The library's own texts hold addresses, so only the kind of failure goes on.
            raise MailNotSent(_kind_of(error)) from None

    def _connect(self) -> smtplib.SMTP:
        host, port = self._server.hostname or "", self._server.port or _DEFAULT_PORTS[self._server.scheme]
        context = ssl.create_default_context()
        if self._server.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=self._seconds, context=context)
        else:
            connection = smtplib.SMTP(host, port, timeout=self._seconds)
        try:
            connection.ehlo_or_helo_if_needed()
            if self._server.scheme == "smtp" and connection.has_extn("starttls"):
                connection.starttls(context=context)
            if self._server.username:
                connection.login(unquote(self._server.username), unquote(self._server.password or ""))
        except BaseException:
            connection.close()
            raise
        return connection

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = " ".join(mail.subject.split())
        message["Date"] = format_datetime(clock.now())
        domain = self._sender.domain
        message["Message-ID"] = f"<{mail.key}@{domain}>" if mail.key else make_msgid(domain=domain)
        # Asks mail programs of absent people not to answer.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        return message


def chosen_mailer(config: Config) -> Mailer | None:
    """The mailer that `config` describes; None when it names no server. Raises ConfigError."""
    return SmtpMailer(config.smtp_url, config.mail_from) if config.smtp_url else None


def _server(url: str) -> SplitResult:
    try:
        server = urlsplit(url)
        fits = server.scheme in _DEFAULT_PORTS and bool(server.hostname) and server.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ConfigError("CLINIC_SMTP_URL must look like smtp://user:password@host:port or smtps://….")
    return server


def _sender(text: str) -> Address:
    name, address = parseaddr(text)
    try:
        sender = Address(name, addr_spec=address)
    except (MessageError, ValueError, IndexError):
        sender = Address()
    if not (sender.username and sender.domain):
        raise ConfigError("CLINIC_MAIL_FROM must look like Name <address@example.org>.")
    return sender


def _kind_of(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next((code for code, _ in error.recipients.values()), None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
