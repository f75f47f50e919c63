"""Sending mail, to a real SMTP server."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from clinic_service import clock
from clinic_service.config import Config, ConfigError
from clinic_service.gateways.mail import MailNotSent, SmtpMailer, chosen_mailer
from clinic_service.gateways.mail_messages import Mail
from tests.support.session_tokens import ec_key
from tests.support.smtp_server import SmtpServer, smtp_server

SENDER = "Clinic Service <no-reply@clinic.example>"
MAIL = Mail("alice@harbour.example", "Diabetes-Zentrum Köln", "Grüße\n", "<p>Grüße</p>", key="65f1c0de0a1b2c3d4e5f6a7b")


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with smtp_server() as running:
        yield running


def _mailer(server: SmtpServer, scheme: str = "smtp", user: str = "", sender: str = SENDER) -> SmtpMailer:
    return SmtpMailer(f"{scheme}://{user}127.0.0.1:{server.port}", sender, seconds=2)


def test_mail_arrives_as_plain_text_and_html(server: SmtpServer) -> None:
    with clock.frozen(datetime(2026, 3, 2, 9, 30, tzinfo=UTC)):
        _mailer(server).send(MAIL)
    (envelope,) = server.received
    assert (envelope.sender, envelope.recipients) == ("no-reply@clinic.example", ["alice@harbour.example"])
    message = envelope.message
    assert {name: message[name] for name in ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")} == {
        "From": SENDER,
        "To": "alice@harbour.example",
        "Subject": "Diabetes-Zentrum Köln",
        "Date": "Mon, 02 Mar 2026 09:30:00 +0000",
        "Message-ID": "<65f1c0de0a1b2c3d4e5f6a7b@clinic.example>",
        "Auto-Submitted": "auto-generated",
    }
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), plain.get_content()) == ("text/plain", "Grüße\r\n")
    assert (html.get_content_type(), html.get_content()) == ("text/html", "<p>Grüße</p>\r\n")


def test_mail_without_a_key_gets_an_id_of_its_own(server: SmtpServer) -> None:
    for _ in range(2):
        _mailer(server).send(Mail("a@b.example", "s", "t", "<p>t</p>"))
    assert len({envelope.message["Message-ID"] for envelope in server.received}) == 2


def test_subject_cannot_smuggle_in_headers(server: SmtpServer) -> None:
    _mailer(server).send(Mail("a@b.example", "Harbour\r\nBcc: mallory@mail.example", "t", "<p>t</p>"))
    (envelope,) = server.received
    assert envelope.message["Subject"] == "Harbour Bcc: mallory@mail.example"
    assert "Bcc" not in envelope.message
    assert envelope.recipients == ["a@b.example"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\nBcc:c@d.example",
        "a@b.example, c@d.example",
        "a@b.example c@d.example",
        "<a@b.example>",
        "ä@b.example",
        # What stands for one address here is another one, or several, to other programs.
        "a(comment)@b.example",
        '"a@b.example, c"@d.example',
        '"=?utf-8?q?a=40b.example=0d=0aBcc:_c=40d.example=0d=0a?="@d.example',
        "=?utf-8?q?a=40b.example=2c_c?=@d.example",
        "a@=?utf-8?q?b.example=2c_c=40d.example?=",
        "a@[127.0.0.1]",
        "a@b.example\x00",
    ],
)
def test_address_that_cannot_be_written_to(server: SmtpServer, address: str) -> None:
    with pytest.raises(MailNotSent):
        _mailer(server).send(Mail(address, "s", "t", "<p>t</p>"))
    assert server.received == []


def test_refusal_is_told_without_the_address(server: SmtpServer) -> None:
    server.refusal = "550 no alice@harbour.example here"
    with pytest.raises(MailNotSent) as failure:
        _mailer(server).send(MAIL)
    assert failure.value.message == "SMTPRecipientsRefused 550"
    assert failure.value.__suppress_context__


def test_nobody_listening() -> None:
    with smtp_server() as gone:
        mailer = _mailer(gone)
    with pytest.raises(MailNotSent, match=r"^ConnectionRefusedError$"):
        mailer.send(MAIL)


def test_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{silent.getsockname()[1]}", SENDER, seconds=0.2)
        with pytest.raises(MailNotSent, match=r"^(TimeoutError|SMTPServerDisconnected)$"):
            mailer.send(MAIL)


def test_log_in_with_escaped_password() -> None:
    with smtp_server(log_in=True) as server:
        _mailer(server, user="relay%40clinic.example:p%40ss%20word@").send(MAIL)
        assert server.received[0].login.login == b"relay@clinic.example"


def test_log_in_that_is_refused() -> None:
    with smtp_server(log_in=True) as server:
        with pytest.raises(MailNotSent, match=r"^SMTPAuthenticationError 535$"):
            _mailer(server, user="relay:wrong@").send(MAIL)
        assert server.received == []


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of an encrypted connection, with a certificate that this machine trusts."""
    file = _certificate_file(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _certificate_file(folder: Path) -> Path:
    key, name = ec_key("mail"), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    file = folder / "mail.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


def test_encryption_is_used_when_offered(certificate: ssl.SSLContext) -> None:
    with smtp_server(starttls=certificate) as server:
        _mailer(server).send(MAIL)
        assert server.received[0].encrypted


def test_encryption_from_the_beginning(certificate: ssl.SSLContext) -> None:
    with smtp_server(tls=certificate) as server:
        _mailer(server, scheme="smtps").send(MAIL)
        assert [envelope.recipients for envelope in server.received] == [["alice@harbour.example"]]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_certificate_of_a_stranger_is_refused(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    offer, insist = (certificate, None) if scheme == "smtp" else (None, certificate)
    with smtp_server(starttls=offer, tls=insist) as server:
        with pytest.raises(MailNotSent, match=r"^SSLCertVerificationError$"):
            _mailer(server, scheme=scheme).send(MAIL)
        assert server.received == []


def test_insisting_on_encryption_sends_nothing_without_it(server: SmtpServer) -> None:
    with pytest.raises(MailNotSent, match=r"^SSLError$"):
        _mailer(server, scheme="smtps").send(MAIL)
    assert server.received == []


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp://mail.example:port"])
def test_server_that_cannot_be_called_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="CLINIC_SMTP_URL"):
        chosen_mailer(Config(smtp_url=url))


@pytest.mark.parametrize("sender", ["", "nobody", "Clinic <>", "a@b@c"])
def test_sender_without_an_address_stops_the_start(sender: str) -> None:
    with pytest.raises(ConfigError, match="CLINIC_MAIL_FROM"):
        chosen_mailer(Config(smtp_url="smtp://mail.example", mail_from=sender))


def test_no_server_means_no_mailer() -> None:
    assert chosen_mailer(Config()) is None
    assert isinstance(chosen_mailer(Config(smtp_url="smtp://mail.example")), SmtpMailer)
