"""Sends mail through an SMTP server. `mail_messages.py` makes the bytes, and `outbox/deliveries.py` writes the text."""

from __future__ import annotations

import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways.mail_messages import Mail, header_text, is_plain_address, serialize

# Longer than for other calls: no request waits for mail, and some servers delay their greeting to unknown clients.
DEFAULT_SECONDS = 15.0
_DEFAULT_PORTS = {"smtp": 25, "smtps": 465}


class MailNotSent(BadGateway):
    """The mail server did not accept the mail. `message` is the kind of the failure, and never contains an address."""

    message = "The mail was not sent."


class UnsendableMail(MailNotSent):
    """The mail can never be sent, because not every program would read its address or its text in the same way."""


class Mailer(Protocol):
    """Sends mail."""

    def send(self, mail: Mail) -> None:
        """Send `mail`. Raises MailNotSent, which is UnsendableMail when another attempt would fail as well."""


class SmtpMailer:
    """Sends through the server at `smtp_url`. `smtp://` encrypts when the server offers it, `smtps://` always."""

    def __init__(self, smtp_url: str, mail_from: str, *, seconds: float = DEFAULT_SECONDS) -> None:
        """`seconds`: the timeout of each step of the exchange. Raises ConfigError for a bad URL or sender."""
        self._server = _server(smtp_url)
        self._sender = _sender(mail_from)
        self._seconds = seconds

    def send(self, mail: Mail) -> None:
        try:
            message = serialize(mail, self._sender)
        except (MessageError, ValueError) as error:
            raise UnsendableMail(_kind_of(error)) from None
        try:
            with self._connect() as connection:
                # The recipient is given explicitly, so that it is not read from the message.
                connection.sendmail(self._sender.addr_spec, [mail.to], message)
        except (OSError, smtplib.SMTPException, MessageError, ValueError) as error:
            # Messages of the library contain addresses, so only the kind of the failure is passed on.
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


def chosen_mailer(config: Config) -> Mailer | None:
    """The mailer for `config`; None when no mail server is configured. Raises ConfigError."""
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
    if not is_plain_address(address):
        raise ConfigError("CLINIC_MAIL_FROM must look like Name <address@example.org>.")
    return Address(header_text(name), addr_spec=address)


def _kind_of(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next((code for code, _ in error.recipients.values()), None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
