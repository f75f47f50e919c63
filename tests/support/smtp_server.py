"""A real SMTP server on this machine that keeps what it is sent."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Envelop(NamedTuple):
    """A mail as it arrived: on the envelope, inside, as bytes, and how it came."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    content: bytes
    encrypted: bool
    login: Any


class SmtpServer:
    """Takes every mail, unless `refusal` is set: then it answers the recipient with that."""

    def __init__(self) -> None:
        self.received: list[Envelop] = []
        self.arrived = threading.Event()
        self.refusal: str | None = None
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = message_from_bytes(content, policy=policy.default)
        self.received.append(
            Envelop(
                envelope.mail_from or "",
                list(envelope.rcpt_tos),
                message,
                content,
                session.ssl is not None,
                session.auth_data,
            )
        )
        self.arrived.set()
        return "250 OK"


class _AnyPort(Controller):
    """Takes whatever port is free; the library wants to be told one."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        # The library makes its half of a conversation when the first caller has come.
        with socket.create_connection((self.hostname, self.port), 5) as caller:
            client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
            with client.wrap_socket(caller) if self.ssl_context else caller as conversation:
                conversation.recv(1024)


def _let_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any) -> AuthResult:
    good = isinstance(login, LoginPassword) and login.password == b"p@ss word"
    return AuthResult(success=good, handled=False, auth_data=login)


@contextmanager
def smtp_server(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, log_in: bool = False
) -> Iterator[SmtpServer]:
    """A running server: `starttls` offers encryption, `tls` begins with it, `log_in` takes the password `p@ss word`."""
    server = SmtpServer()
    options: dict[str, Any] = {"ssl_context": tls} if tls else {"tls_context": starttls} if starttls else {}
    if log_in:
        options |= {"authenticator": _let_in, "auth_require_tls": False}
    controller = _AnyPort(server, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        server.port = controller.port
        yield server
    finally:
        controller.stop()
