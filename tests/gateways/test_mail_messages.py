"""Messages: what somebody typed cannot add a header, a part or a recipient, whatever the version of the library.

The bytes are read as older programs read them: the header ends at the first empty line, and each header line that begins
with a blank belongs to the one before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import Message
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_service.gateways.mail import SmtpMailer, UnsendableMail
from clinic_service.gateways.mail_messages import Mail, UnsafeMessage, header_text, one_line, serialize
from clinic_service.outbox.deliveries import MAILS, compose
from tests.support.smtp_server import smtp_server

SENDER = Address("Clinic Service", addr_spec="no-reply@clinic.example")
NAMES = ["Content-Type", "MIME-Version", "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
BODY = "=?utf-8?q?Hello=0d=0aContent-Type:_text/html=0d=0a=0d=0a<h1>Pay_here</h1>?="
HOSTILE = [
    BODY,
    f"Harbour {BODY}",
    f"Harbour{BODY}Clinic",
    "=?utf-8?b?SGVsbG8NCkJjYzogbWFsbG9yeUBtYWlsLmV4YW1wbGU=?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3FHello=3D0d=3D0aBcc:=5Fm=3D40mail.example=3F=3D?=",
    "=?utf-8?q?Hello=0aBcc:_m@mail.example?= =?utf-8?q?=0aX:_y?=",
    "=?us-ascii*en?Q?=0d=0aBcc:_m@mail.example?=",
    "==??utf-8?q?=0d=0aBcc:_m@mail.example?=",
    "=\x00?utf-8?q?=0d=0aBcc:_m@mail.example?=",
    "=\r\n?utf-8?q?=0d=0aBcc:_m@mail.example?=",
    "Harbour\r\nBcc: m@mail.example",
    "Harbour\rBcc: m@mail.example",
    "Harbour\x85Bcc: m@mail.example\u2028X: y",
    "Harbour\r\n\r\n<h1>Pay here</h1>",
    "Harbour\r\n.\r\nMAIL FROM:<m@mail.example>",
    "Harbour \u202eelpmaxe.live",
    "\ud800 half a character",
    'a@b.example, "m@mail.example" <m@mail.example>;',
    "日本語の名前" * 30 + BODY,
    "x" * 250,
    "",
]


class Read(NamedTuple):
    """A message as an older program reads it."""

    names: list[str]
    subject: str
    to: str
    parts: list[tuple[str, str]]


def read(raw: bytes) -> Read:
    """`raw` by the plain rules of header lines; it holds no line end but those of the wire."""
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", raw) is None
    head = raw.decode("ascii").partition("\r\n\r\n")[0]
    headers = [line.partition(": ")[::2] for line in re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n")]
    values = dict(headers)
    # A multipart has its own headers, and no text.
    parts = [part for part in message_from_bytes(raw).walk() if not part.is_multipart()]
    texts = [(part.get_content_type(), bytes(part.get_payload(decode=True)).decode()) for part in parts]
    return Read([name for name, _ in headers], decoded(values["Subject"]), values["To"], texts)


def decoded(value: str) -> str:
    return str(make_header(decode_header(value)))


def mail(text: str) -> Mail:
    return Mail("alice@harbour.example", f"Join {text}", f"Join {text}\n", f"<p>{text}</p>", key="0" * 24)


def assert_reads_as_meant(raw: bytes, text: str) -> None:
    found = read(raw)
    assert found.names == NAMES
    assert found.to == "alice@harbour.example"
    assert [kind for kind, _ in found.parts] == ["text/plain", "text/html"]
    assert found.subject == header_text(f"Join {text}")
    # A program that decodes what it has decoded already finds the same.
    assert decoded(found.subject) == found.subject


@pytest.mark.parametrize("text", HOSTILE)
def test_typed_text_stays_in_the_subject(text: str) -> None:
    assert_reads_as_meant(serialize(mail(one_line(text)), SENDER), text)


@pytest.mark.parametrize("text", HOSTILE)
def test_subject_is_cleaned_where_the_message_is_made(text: str) -> None:
    """Also when nobody did so before."""
    whole = mail("")
    raw = serialize(Mail(whole.to, f"Join {text}", whole.text, whole.html, whole.key), SENDER)
    assert_reads_as_meant(raw, text)


PIECES = st.sampled_from(
    ["=?", "utf-8", "?q?", "?b?", "?=", "=0d=0a", "\r\n", "\n", " ", "Bcc: m@mail.example", "é", "語"]
)
TEXTS = st.lists(PIECES | st.text(max_size=90), max_size=20).map("".join)


@given(TEXTS)
def test_any_text_stays_in_the_subject(text: str) -> None:
    assert_reads_as_meant(serialize(mail(one_line(text)), SENDER), text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_body_arrives_as_it_was_written(text: str) -> None:
    raw = serialize(Mail("alice@harbour.example", "s", text, "<p>t</p>"), SENDER)
    (_, plain), _ = read(raw).parts
    assert plain.split("\r\n") == re.split(r"\r\n|\r|\n", text.rstrip("\r\n") + "\n")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", sorted(MAILS))
def test_names_in_events_stay_in_their_places(kind: str, text: str) -> None:
    """Every mail of the service, with the text wherever somebody types something."""
    names: tuple[str, ...] = (
        "ClinicName",
        "ClinicianName",
        "CreatorName",
        "CareteamName",
        "PatientName",
        "ProviderName",
    )
    names += ("SourceClinicName", "TargetClinicName")
    payload = dict.fromkeys(names, text) | {"Email": "alice@harbour.example"}
    composed = compose(kind, payload, to="alice@harbour.example", key="0" * 24, application_url=None)
    found = read(serialize(composed, SENDER))
    assert found.names == NAMES
    assert [kind for kind, _ in found.parts] == ["text/plain", "text/html"]
    assert "<h1>Pay" not in found.parts[1][1]
    # The lines are those of the template.
    plain = compose(kind, payload | dict.fromkeys(names, "x"), to="a@b.example", key="0", application_url=None)
    assert found.parts[0][1].count("\r\n") == plain.text.count("\n")


def test_hostile_name_arrives_at_a_server_as_a_name() -> None:
    with smtp_server() as server:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{server.port}", "Clinic Service <no-reply@clinic.example>", seconds=5)
        for text in HOSTILE:
            mailer.send(mail(one_line(text)))
    assert len(server.received) == len(HOSTILE)
    for envelope, text in zip(server.received, HOSTILE, strict=True):
        assert (envelope.sender, envelope.recipients) == ("no-reply@clinic.example", ["alice@harbour.example"])
        assert_reads_as_meant(envelope.content, text)
        # As a program with the newer interface reads it.
        assert envelope.message.keys() == NAMES
        assert envelope.message["Subject"] == header_text(f"Join {text}")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw.replace(b"\r\nSubject: ", b"\r\nBcc: m@mail.example\r\nSubject: "),
        lambda raw: raw.replace(b"\r\nTo: ", b"\r\nTo: m@mail.example, "),
        lambda raw: raw.replace(b"\r\nSubject: ", b"\r\nSubject: Urgent "),
        lambda raw: raw.replace(b"\r\nSubject: ", b"\r\n\r\n<h1>Pay here</h1>\r\nSubject: "),
        lambda raw: raw.replace(b"text/plain", b"text/html"),
        lambda raw: raw.replace(b"multipart/alternative", b"text/html"),
        lambda raw: raw.replace(b"PHA+", b"PGI+"),
    ],
    ids=["header", "recipient", "subject", "body", "type of a part", "no parts", "content"],
)
def test_message_that_does_not_read_as_it_was_meant_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes]
) -> None:
    """Whatever a version of the library makes of it."""
    right = Message.as_bytes

    def spoilt(message: Message[str, str]) -> bytes:
        raw = right(message)
        assert spoil(raw) != raw
        return spoil(raw)

    monkeypatch.setattr(Message, "as_bytes", spoilt)
    with pytest.raises(UnsafeMessage):
        serialize(mail("Harbour"), SENDER)
    with smtp_server() as server:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{server.port}", "no-reply@clinic.example", seconds=5)
        with pytest.raises(UnsendableMail, match=r"^UnsafeMessage$"):
            mailer.send(mail("Harbour"))
    assert server.received == []


def test_name_of_the_sender_stays_a_name() -> None:
    with smtp_server() as server:
        sender = "=?utf-8?q?Clinic=0d=0aBcc:_m=40mail.example?= <no-reply@clinic.example>"
        SmtpMailer(f"smtp://127.0.0.1:{server.port}", sender, seconds=5).send(mail("Harbour"))
    (envelope,) = server.received
    assert read(envelope.content).names == NAMES
    assert envelope.recipients == ["alice@harbour.example"]
    assert [address.addr_spec for address in envelope.message["From"].addresses] == ["no-reply@clinic.example"]
